"""Given and family names of the sample forum as really written, and their spelling on a badge.

The lists are written by hand; every combination is invented. Family names whose ending follows
the person's gender are kept in the masculine form: `feminine` makes the other one.
"""

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class NameList:
    male: tuple
    female: tuple
    family: tuple
    family_first: bool = False


def words(text):
    return tuple(text.split())


NAMES = {
    "AZ": NameList(
        male=words(
            "Əli Elçin Vüqar Rəşad Şahin Tərlan Orxan Nicat Kamran Cavid İlqar Fərid Araz Mübariz "
            "Zaur Ceyhun Qorxmaz Emin Bəxtiyar Xəyal Yaşar Ülvi Tural Hikmət Oqtay Rövşən Samir "
            "Müşfiq Anar İsa"
        ),
        female=words(
            "Gülşən Aygün Günel Nərmin Lalə Sevinc Şəbnəm Könül Çinarə Ülviyyə Xatirə Fidan Zeynəb "
            "Cəmilə Təranə Məhsəti Nigar Afaq Pərvanə Röya Arzu Səadət İradə Qönçə Vəfa Jalə "
            "Gülnarə Elnarə Dilarə Nuranə"
        ),
        family=words(
            "Məmmədov Əliyev Hüseynov Həsənov Quliyev İsmayılov Abbasov Kərimov Rüstəmov "
            "Mustafayev Qasımov Cəfərov Ağayev Nağıyev Şükürov Əsgərov Xəlilov Babayev Səfərov Yusifov "
            "Axundov Çobanov Vəliyev Mehdiyev Rzayev Zeynallı Qaraçuxurlu Əhmədli Göyçaylı Şirinli "
            "Axundzadə Rəsulzadə Talıbzadə Mirzəzadə"
        ),
    ),
    "TR": NameList(
        male=words(
            "Mehmet Ahmet Oğuz Çağrı Gökhan Şükrü İbrahim Işık Tuğrul Emre Barış Umut Ömer Yiğit "
            "Kerem Volkan Hakan Serdar Bülent Çetin"
        ),
        female=words(
            "Ayşe Gülşah Çiğdem Şeyma İpek Işıl Özlem Tuğba Elif Zeynep Büşra Nurgül Yağmur Defne "
            "Sıla Gökçe Ümran Hatice Beyza Müge"
        ),
        family=words(
            "Yılmaz Kaya Demir Çelik Şahin Yıldız Öztürk Aydın Özdemir Arslan Doğan Kılıç Aslan "
            "Çetin Kara Koç Kurt Özkan Şimşek Güneş Aksoy Işıklı Tekin Uçar Bozkurt Gündoğdu"
        ),
    ),
    "UZ": NameList(
        male=words(
            "Oʻtkir Ulugʻbek Sherzod Jasur Bekzod Gʻayrat Toʻlqin Shavkat Otabek Davron Alisher "
            "Boʻri Sanjar Ilhom Gʻulom"
        ),
        female=words(
            "Gulnora Moʻtabar Dilfuza Nilufar Zulfiya Feruza Oʻgʻiloy Munisa Barno Shahnoza Kamola "
            "Sevara Maʼmura Gulchehra Nargiza"
        ),
        family=words(
            "Oʻrinov Gʻaniyev Yoʻldoshev Toʻrayev Qodirov Rahimov Ergashev Xoʻjayev Nazarov "
            "Moʻminov Sultonov Tursunov Joʻrayev Bozorov Ismoilov Hakimov Soʻfiyev Abdugʻaniyev Mirzayev"
        ),
    ),
    "KZ": NameList(
        male=words(
            "Нұрлан Әділет Қайрат Ержан Бауыржан Төлеген Ғабит Дәурен Серік Мұрат Асқар Жандос "
            "Олжас Ілияс Шыңғыс"
        ),
        female=words(
            "Айгүл Әсел Гүлнәр Жанар Қарлығаш Меруерт Сәуле Дінара Ұлжан Бибігүл Өнеге Ақмарал "
            "Назерке Ғалия Шынар"
        ),
        family=words(
            "Нұрланов Сәрсенбаев Қасымов Әбдірахманов Жұмабаев Төлегенов Оспанов Ахметов Мұқанов "
            "Сейітов Ысқақов Байжанов Есенов Дүйсенбаев Құрманғалиев Смағұлов Тілеубаев Шаяхметов "
            "Ержанов Өтебаев"
        ),
    ),
    "KG": NameList(
        male=words(
            "Азамат Бакыт Нурбек Тилек Эрлан Чыңгыз Үсөн Жолдошбек Канат Мирлан Талант Өмүрбек"
        ),
        female=words(
            "Айпери Жылдыз Чолпон Гүлмира Нургүл Бермет Мээрим Айжамал Сайкал Үмүт Бегимай Жаңыл"
        ),
        family=words(
            "Асанов Жумабаев Токтогулов Өмүралиев Бейшеналиев Кадыров Сыдыков Үсөнов Маматов "
            "Исаков Турдубаев Чоробаев Шаршенов Эсенбаев Жээнбаев"
        ),
    ),
    "TM": NameList(
        male=words("Serdar Myrat Döwlet Aşyr Ýagmyr Batyr Çary Kakajan Rejep Nuryagdy"),
        female=words("Aýgül Jeren Ogulgerek Maýsa Täzegül Bägül Enejan Güljahan Şemşat Läle"),
        family=words(
            "Annaýew Nuryýew Gurbanow Öwezow Täçmyradow Ataýew Hojaýew Ýazow Mäteriýew Çaryýew "
            "Garažaýew Meňliýew Baýramow Şyhyýew"
        ),
    ),
    "HU": NameList(
        male=words("László Gábor Zoltán Ferenc Győző Ákos Dezső Benedek Tamás Örs Bence György"),
        female=words("Katalin Zsófia Ágnes Erzsébet Réka Eszter Ilona Emőke Tünde Boglárka Csilla"),
        family=words(
            "Kovács Szabó Tóth Nagy Kőműves Vörös Erdős Fehér Szűcs Győri Lőrincz Bíró Halász "
            "Dörnyei Fűzes Kürtösi Mészáros Török"
        ),
        family_first=True,
    ),
    "NC": NameList(
        male=words("Hüseyin Mustafa Ersin Tözün Özker Mehmet Rauf Kıvanç Cemal Salih Doğuş"),
        female=words("Sıdıka Emine Şerife Ayşen Nazlı Tülin Fatoş Özge Narin Pembe Gülten"),
        family=words(
            "Özersay Denktaşlı Çağlarca Beyarmutlu Girneli Lefkeli Güzelyurtlu Tatlısulu Öztürkmen "
            "Kırmızıada Karpazlı Baflı Erenköylü Alsancaklı"
        ),
    ),
}

NICKNAMES = ("Usta", "Hoca", "Reis", "Kaptan")

FEMININE_ENDINGS = {
    "AZ": ("ov", "ev"),
    "UZ": ("ov", "ev"),
    "KZ": ("ов", "ев"),
    "KG": ("ов", "ев"),
    "TM": ("ow", "ew"),
}


def feminine(family, delegation):
    if not family.endswith(FEMININE_ENDINGS.get(delegation, ())):
        return family
    return family + ("а" if delegation in ("KZ", "KG") else "a")


CYRILLIC = dict(zip("абвгдезийклмнопрстуфыэәғқңөұүһі", "abvgdeziyklmnoprstufyeagknouuhi")) | {
    "ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "yu", "я": "ya",
    "ё": "yo", "ъ": "", "ь": "",
}
SPELLING = {
    "AZ": {"ə": "a", "ı": "i", "ğ": "gh", "ş": "sh", "ç": "ch", "x": "kh", "c": "j", "q": "g"},
    "TR": {"ı": "i"},
    "NC": {"ı": "i"},
    "UZ": {"ʻ": "'", "ʼ": "'"},
    "KZ": CYRILLIC,
    "KG": CYRILLIC | {"ж": "j"},
    "TM": {"ž": "zh", "ş": "sh", "ç": "ch", "ý": "y"},
    "HU": {},
}


def latin(text, delegation):
    """The badge's spelling: ASCII letters, case kept letter by letter, no locale involved."""
    spelling = SPELLING[delegation]
    spelled, before = [], " "
    for letter in text:
        small = {"İ": "i", "I": "ı" if "ı" in spelling else "i"}.get(letter, letter.lower())
        replaced = spelling.get(small, small)
        if small == "е" and before in " аеиоуыэюяәіөұү":
            replaced = "ye"
        plain = "".join(c for c in unicodedata.normalize("NFD", replaced) if ord(c) < 128)
        before = small
        spelled.append(plain[:1].upper() + plain[1:] if letter != small else plain)
    return "".join(spelled)
