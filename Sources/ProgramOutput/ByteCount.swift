/// How many bytes there are, for people.
public enum ByteCount {
    /// `812 B`, `45 kB`, `5.1 MB`, `1.2 GB`: powers of a thousand.
    public static func text(_ bytes: UInt64) -> String {
        var (value, unit) = (bytes, "B")
        var tenths: UInt64 = 0
        for larger in ["kB", "MB", "GB"] where value >= 1_000 {
            tenths = value % 1_000 / 100
            (value, unit) = (value / 1_000, larger)
        }
        let showsTenths = value < 10 && unit != "B" && unit != "kB"
        return showsTenths ? "\(value).\(tenths) \(unit)" : "\(value) \(unit)"
    }
}
