/// How many there are of something, for people.
public enum ItemCount {
    /// `1 change`, `12 changes`: of a noun that takes an s.
    public static func text(_ count: some BinaryInteger, _ noun: String) -> String {
        "\(count) \(noun)\(count == 1 ? "" : "s")"
    }
}
