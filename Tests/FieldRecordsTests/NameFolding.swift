import FieldRecords
import Testing

@Suite struct `Names folded` {
    @Test(arguments: sameNames)
    func `spellings of one name share a key`(names: [String]) {
        let keys = Set(names.map(NameFold.key))
        #expect(keys.count == 1, "\(names) have the keys \(keys.sorted())")
        #expect(keys.first?.isEmpty == false)
    }

    @Test(arguments: queries)
    func `what people type finds the name in the list`(query: String, listed: String) {
        let words = NameFold.key(listed).split(separator: " ")
        for word in NameFold.key(query).split(separator: " ") {
            #expect(
                words.contains { $0.hasPrefix(word) }, "\(word) of \(query) begins none of \(words)"
            )
        }
    }

    @Test(arguments: otherNames)
    func `different names keep different keys`(one: String, other: String) {
        #expect(NameFold.key(one) != NameFold.key(other))
    }

    @Test(arguments: sameNames.flatMap { $0 } + otherNames.flatMap { [$0.0, $0.1] })
    func `a key is its own key, in small Latin letters`(name: String) {
        let key = NameFold.key(name)
        #expect(NameFold.key(key) == key)
        #expect(key.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x20 })
    }

    @Test(arguments: [
        "Gülşən Məmmədova", "Gu\u{308}ls\u{327}ən Məmmədova", "  GÜLŞƏN\t\tMƏMMƏDOVA ",
        "gülşən-məmmədova", "MƏMMƏDOVA, Gülşən", "Gülşən (Məmmədova)", "Gül\u{AD}şən Məm'mədova",
        "Gulshan Mammadova", "Gyulshan Mamedova", "Гюльшан Мамедова", "МАМЕДОВА ГЮЛЬШАН",
        "Ҝүлшән Мәммәдова", "Ｇｕｌｓｈａｎ Ｍａｍｍａｄｏｖａ",
    ])
    func `the key is spelt out`(name: String) {
        #expect(NameFold.key(name) == "gulsan mamadova")
    }

    @Test(arguments: ["", " ", "'", "-", "ь", "ʻ ʼ", "\u{301}", "—", "🙂"])
    func `a text without letters has no key`(name: String) {
        #expect(NameFold.key(name).isEmpty)
    }

    @Test func `letters of other alphabets stay, and long names end`() {
        #expect(NameFold.key("გიორგი") == "გიორგი")
        #expect(NameFold.key("محمد") != NameFold.key("علي"))
        #expect(NameFold.key(String(repeating: "ssh", count: 4_000)) == "s")
    }

    /// Who is one, in Latin of several languages, in Cyrillic, in passports, in capitals.
    static let sameNames: [[String]] = [
        // Azerbaijani
        ["Gulshan Mammadova", "Gülşən Məmmədova", "Гюльшан Мамедова"],
        ["İlham Əliyev", "Ilham Aliyev", "Ильхам Алиев", "ILHAM ALIEV", "ıLHAM aLİYEV"],
        ["Cəfər Cəfərov", "Jafar Jafarov", "Джафар Джафаров", "Dzhafar Dzhafarov"],
        ["Xəlil Xəlilov", "Khalil Khalilov", "Халил Халилов", "Halil Halilov"],
        ["Çingiz", "Chingiz", "Cingiz", "Чингиз"],
        ["Ceyhun Bayramov", "Jeyhun Bayramov", "Джейхун Байрамов", "Ceyhun Bayramow"],
        ["Yusif Yaqubov", "Юсиф Якубов", "Iusif Iakubov"],
        ["Əhməd Məmmədyarov", "Ahmad Mammadyarov", "Ахмад Мамедъяров", "Ахмад Мамедьяров"],
        ["Zeynəb Xanlarova", "Zeynab Khanlarova", "Зейнаб Ханларова", "Зейнаб  ХАНЛАРОВА"],
        ["Fərid Rüstəmov", "Farid Rustamov", "Фарид Рустамов", "Fərid Rüstəmóv"],
        ["Cəmilə", "Jamila", "Джамиля", "Djamila"],
        ["Lətifə", "Latifa", "Лятифа"],
        ["Şəhla", "Shahla", "Шахла", "SHAHLA"],
        ["İsgəndər", "Isgandar", "Исгандар"],
        ["Yalçın", "Yalchin", "Ялчин", "Yalcin"],
        ["Abbaszadə", "Abbaszade", "Аббасзаде"],
        // Turkish
        ["Şükrü Çağlayan", "Sukru Caglayan", "Шюкрю Чаглаян", "ŞÜKRÜ ÇAĞLAYAN"],
        ["Işıl Yıldız", "Isil Yildiz", "Ышыл Йылдыз", "IŞIL YILDIZ"],
        ["Gökçe Öztürk", "Gokce Ozturk", "Гокче Озтюрк"],
        ["Ayşe", "Ayse", "Айше", "Ayshe"],
        // Kazakh
        ["Нұрлан Әбішев", "Nurlan Abishev", "Nurlan Äbişev", "Нурлан Абишев"],
        ["Қайрат Сәрсенбаев", "Kairat Sarsenbaev", "Qairat Sarsenbayev", "Кайрат Сарсенбаев"],
        ["Әсел", "Asel", "Assel", "Асель"],
        ["Айгүл", "Aigul", "Айгуль", "Aygül"],
        ["Жанар", "Zhanar", "Janar"],
        ["Ержан", "Yerzhan", "Erjan", "Erzhan"],
        ["Шыңғыс", "Shyngys", "Şyñğys"],
        ["Өмірзақ", "Omirzak", "Омирзак"],
        ["Һаким", "Hakim", "Хаким"],
        // Kyrgyz
        ["Үмүт", "Umut", "Умут"],
        ["Садыр Жапаров", "Sadyr Japarov", "Sadyr Zhaparov"],
        ["Чолпон Жээнбекова", "Cholpon Zheenbekova", "Cholpon Jeenbekova"],
        // Uzbek, with every apostrophe that there is
        [
            "Oʻktam Gʻofurov", "O'ktam G'ofurov", "O‘ktam G‘ofurov", "O’ktam G’ofurov",
            "O`ktam G`ofurov", "Oʼktam Gʼofurov", "O´ktam G´ofurov", "Ўктам Ғофуров",
            "У\u{306}ктам Ғофуров", "Oktam Gofurov",
        ],
        ["Shavkat Mirziyoyev", "Шавкат Мирзиёев", "Шавкат Мирзие\u{308}ев"],
        ["Xurshid Do'stmuhammad", "Khurshid Dostmuhammad", "Хуршид Дўстмуҳаммад"],
        ["Shohrux", "Shokhrukh", "Шохрух", "Şohrux"],
        ["Ilyos", "Ильёс", "Il'yos"],
        ["Zulfiya", "Зулфия", "Zulfia"],
        // Turkmen
        ["Gurbanguly Berdimuhamedow", "Gurbanguly Berdimuhamedov", "Гурбангулы Бердимухамедов"],
        ["Serdar Orazow", "Сердар Оразов", "Serdar Orazov"],
        ["Maýsa", "Maysa", "Майса"],
        ["Aýna Täçmyradowa", "Ayna Tachmyradova", "Айна Тачмырадова"],
        ["Garažaýew", "Garazhayew", "Garaz\u{30C}aýew", "Гаражаев"],
        ["Gurbangulyýew", "Gurbangulyyev", "Гурбангулыев"],
        // Hungarian
        ["Kovács Ágnes", "Agnes Kovacs", "Агнеш Ковач", "Ágnes KOVÁCS"],
        ["Szabó Sándor", "Sandor Szabo", "Шандор Сабо"],
        ["Erdős Győző", "Erdos Gyozo", "ERDŐS GYŐZŐ", "Erdo\u{30B}s Gyo\u{30B}zo\u{30B}"],
        ["Fűtő", "Futo", "Fu\u{30B}to\u{30B}"],
        // passports, and й in two scalars
        ["Мария", "Mariya", "Maria", "Mariia"],
        ["Сергей", "Sergei", "Sergey", "Серге\u{438}\u{306}"],
        ["Елена", "Yelena", "Elena"],
        ["Юлия", "Yuliya", "Iuliia", "Yulia"],
        ["Исхак", "Iskhak", "Ishak"],
        ["Вера", "Wera", "Vera"],
    ]

    /// Twenty-three searches as people at a door type them, and who they mean.
    static let queries: [(query: String, listed: String)] = [
        ("mamedova", "Gülşən Məmmədova"), ("gulsen", "Gülşən Məmmədova"),
        ("гюльшан", "Gülşən Məmmədova"), ("gul mam", "Məmmədova Gülşən"),
        ("ilham", "İlham Əliyev"), ("ILHAM", "ilham əliyev"), ("aliev", "İlham Əliyev"),
        ("chingiz", "Çingiz Hüseynov"), ("huseynov", "Çingiz Hüseynov"),
        ("kenzhe", "Кенжебек Ысқақов"),
        ("khalilov", "Xəlilov Xəyal"), ("hayal", "Xəlilov Xəyal"), ("jeyhun", "Ceyhun Bayramov"),
        ("yildiz", "Işıl YILDIZ"), ("öztürk", "Gokce Ozturk"), ("kairat", "Қайрат Сәрсенбаев"),
        ("qayrat sarsen", "Қайрат Сәрсенбаев"), ("aigul", "Айгүл Нұрланқызы"),
        ("o'ktam", "Oʻktam Gʻofurov"), ("gofur", "Oʻktam Gʻofurov"), ("zheen", "Жээнбекова Чолпон"),
        ("berdimuhamedov", "Gurbanguly Berdimuhamedow"), ("kovach", "Kovács Ágnes"),
    ]

    static let otherNames: [(String, String)] = [
        ("Gülşən Məmmədova", "Gülşən Məmmədov"), ("Gülşən", "Gülnar"), ("Leyla", "Lalə"),
        ("Əli Məmmədov", "Vəli Məmmədov"), ("Əliyev", "Əliyeva"), ("Diana", "Dana"),
        ("Aysel", "Aygül"), ("Aynur", "Aynurə"), ("Kamran", "Kamal"), ("Rəşad", "Rəşid"),
        ("Mehmet", "Mehdi"), ("Həsən", "Hüseyn"), ("Nurlan", "Nursultan"), ("Ержан", "Жан"),
        ("Асан", "Үсөн"), ("Шавкат", "Шухрат"), ("Oʻktam", "Akram"), ("Gʻofur", "Gʻani"),
        ("Serdar", "Sardor"), ("Maral", "Meret"), ("Kovács", "Kocsis"), ("Szabó", "Szántó"),
        ("Мария", "Марина"), ("Анна", "Алла"), ("Ivan", "Ivanov"), ("Tamara", "Tamerlan"),
        ("Ali Hasan", "Ali Hasan Kaya"), ("Fatma Şahin", "Fatma Özşahin"), ("Ümit", "Umay"),
        ("Çetin", "Metin"), ("Rüstəm", "Rüfət"), ("Mira", "Mina"), ("Əsgər", "Əkbər"),
    ]
}
