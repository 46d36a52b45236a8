/// What spellings of one name have in common, whatever the alphabet: `Gulshan Mammadova`,
/// `Gülşən Məmmədova` and `Гюльшан Мамедова` have one key.
///
/// A key is for finding people and for suggesting that two of them are one. It is no identity:
/// different people may share a key, so nothing may be merged by it.
///
/// The same on every laptop: nothing here asks for a locale, and of Unicode's tables only the
/// mapping to small letters is used, which is fixed for the letters that exist.
public enum NameFold {
    /// The key of a name; empty for a text without a letter or a digit, which is like no name.
    ///
    /// Words are sorted, since half of the lists put the family name first. That merges
    /// `Ali Hasan` with `Hasan Ali`; as a suggestion that costs a look, while a twin that is never
    /// suggested is counted twice. Words are never dropped, so a patronymic makes another key.
    ///
    /// A key is its own key. The cost is linear in the length of the name.
    public static func key(_ name: String) -> String {
        NameSpelling.words(of: name).map(folded).filter { !$0.isEmpty }
            .sorted { $0.lexicographicallyPrecedes($1) }
            .map { word in
                var text = String.UnicodeScalarView()
                text.append(contentsOf: word.compactMap(Unicode.Scalar.init))
                return String(text)
            }
            .joined(separator: " ")
    }

    /// A word in small Latin letters, as scalars, without what spellings differ in.
    ///
    /// Repeated until nothing changes: to drop a doubled letter may bring two others together.
    private static func folded(_ word: [UInt32]) -> [UInt32] {
        var word = word
        while true {
            let before = word
            for (letters, sound) in sounds { word = replacing(letters, by: sound, in: word) }
            word = collapsed(withoutGlides(word).map { plain[$0] ?? $0 })
            if word == before { return word }
        }
    }

    /// Letters that together stand for one sound. Those with `h` come first: `Iskhak` is `Исхак`.
    private static let sounds: [(letters: [UInt32], sound: UInt32)] = [
        ("kh", "h"), ("gh", "g"), ("dzh", "c"), ("dj", "c"), ("zh", "c"), ("ch", "c"), ("sh", "s"),
        // Hungarian
        ("zs", "c"), ("cs", "c"), ("sz", "s"),
        // passports write ю as iu
        ("iu", "u"),
    ].map { ($0.unicodeScalars.map(\.value), ($1 as Unicode.Scalar).value) }

    /// Letters that stand for another one in some alphabet: `x` is `kh` in Azerbaijani and Uzbek,
    /// and `c` is `j` in Azerbaijani and Turkish, where `ç` without its mark is `c` too. `q` is `k`
    /// in Kazakh and Uzbek; for Azerbaijani, where it is `g`, compare the Latin name as well.
    private static let plain: [UInt32: UInt32] = [
        value("q"): value("k"), value("w"): value("v"), value("x"): value("h"),
        value("j"): value("c"), value("y"): value("i"), value("e"): value("a"),
    ]

    private static func value(_ scalar: Unicode.Scalar) -> UInt32 { scalar.value }

    private static func replacing(
        _ letters: [UInt32], by sound: UInt32, in word: [UInt32]
    ) -> [UInt32] {
        var result: [UInt32] = []
        var rest = word[...]
        while let first = rest.first {
            if rest.starts(with: letters) {
                result.append(sound)
                rest.removeFirst(letters.count)
            } else {
                result.append(first)
                rest.removeFirst()
            }
        }
        return result
    }

    /// Without `y` before a vowel, which some spell and others don't: `Aliyev` and `Aliev`,
    /// `Yelena` and `Elena`, `Gyulshan` and `Gulshan`. The first of two that follow a consonant is
    /// a vowel itself: `Gurbangulyyev`. Some passports begin `Yakov` with `I`.
    private static func withoutGlides(_ word: [UInt32]) -> [UInt32] {
        var result: [UInt32] = []
        for (index, letter) in word.enumerated() {
            let next = index + 1 < word.count ? word[index + 1] : nil
            let isVowelNext = next.map(vowels.contains) ?? false
            if letter == value("y"), next == value("y"), let last = result.last,
                !vowels.contains(last), last != value("i")
            {
                result.append(value("i"))
            } else if letter == value("y"), isVowelNext || next == value("y") || next == value("i")
            {
                continue
            } else if letter == value("i"), index == 0, isVowelNext {
                continue
            } else {
                result.append(letter)
            }
        }
        return result
    }

    /// All but `i`, which is written for `y` too.
    private static let vowels: Set<UInt32> = Set("aeou".unicodeScalars.map(\.value))

    private static func collapsed(_ word: [UInt32]) -> [UInt32] {
        var result: [UInt32] = []
        for letter in word where result.last != letter { result.append(letter) }
        return result
    }
}
