"""Delegations, places and programme of the sample forum (Baku and Nakhchivan, 24-26 November 2025).

Coordinates are approximate: `accuracy_m` is the radius within which the place lies. They are
test data, not a survey. Rooms, times and everything that was not announced are invented.
"""

# code, names (en, az, tr, ru), seats, country code of the telephone, languages
DELEGATIONS = [
    ("AZ", ("Azerbaijan", "Azərbaycan", "Azerbaycan", "Азербайджан"), 180, "+994 00",
     "az ru tr en"),
    ("TR", ("Türkiye", "Türkiyə", "Türkiye", "Турция"), 90, "+90 000", "tr en az"),
    ("UZ", ("Uzbekistan", "Özbəkistan", "Özbekistan", "Узбекистан"), 60, "+998 00", "uz ru en tr"),
    ("KZ", ("Kazakhstan", "Qazaxıstan", "Kazakistan", "Казахстан"), 70, "+7 000", "kk ru en tr"),
    ("KG", ("Kyrgyzstan", "Qırğızıstan", "Kırgızistan", "Кыргызстан"), 40, "+996 000", "ky ru en"),
    ("TM", ("Turkmenistan", "Türkmənistan", "Türkmenistan", "Туркменистан"), 25, "+993 00",
     "tk ru tr"),
    ("HU", ("Hungary", "Macarıstan", "Macaristan", "Венгрия"), 30, "+36 00", "hu en"),
    ("NC", ("Northern Cyprus", "Şimali Kipr", "Kuzey Kıbrıs", "Северный Кипр"), 25, "+90 000",
     "tr en"),
]

# code, name_en, name_az, lat, lon, accuracy_m
SITES = [
    ("BAK-HONOUR", "Alley of Honorary Burial", "Fəxri Xiyaban", 40.3640, 49.8170, 400),
    ("BAK-MARTYRS", "Alley of Martyrs", "Şəhidlər Xiyabanı", 40.3570, 49.8270, 200),
    ("BAK-TURKISH", "Alley of Turkish Martyrs", "Türk Şəhidləri Xiyabanı", 40.3580, 49.8285, 200),
    ("BAK-VICTORY", "Victory Park", "Zəfər Parkı", 40.3840, 49.8840, 800),
    ("BAK-HAC", "Heydar Aliyev Center", "Heydər Əliyev Mərkəzi", 40.3959, 49.8678, 100),
    ("BAK-GULISTAN", "Gulistan Palace", "Gülüstan Sarayı", 40.3595, 49.8260, 200),
    ("NAX-MOMINE", "Momine Khatun Mausoleum", "Möminə Xatun türbəsi", 39.2114, 45.4108, 150),
    ("NAX-YUSIF", "Yusif ibn Kuseyir Mausoleum", "Yusif ibn Küseyir türbəsi",
     39.2090, 45.4060, 300),
    ("NAX-NOAH", "Noah's Mausoleum", "Nuh peyğəmbərin türbəsi", 39.1990, 45.4200, 500),
    ("NAX-KHAN", "Khan's Palace", "Xan Sarayı", 39.2093, 45.4147, 300),
    ("NAX-JAVID", "Huseyn Javid Mausoleum", "Hüseyn Cavid məqbərəsi", 39.2070, 45.4110, 300),
    ("NAX-THEATRE", "Nakhchivan State Musical Drama Theatre",
     "Naxçıvan Dövlət Musiqili Dram Teatrı", 39.2085, 45.4125, 400),
    ("NAX-UNI", "Nakhchivan State University, \"Main Hall\"",
     "Naxçıvan Dövlət Universiteti, \"Böyük zal\"", 39.2170, 45.4090, 800),
    ("NAX-DUZDAG", "Duzdag salt caves", "Duzdağ", 39.2650, 45.2850, 1500),
    ("NAX-KAHF", "Ashabi-Kahf sanctuary", "Əshabi-Kəhf ziyarətgahı", 39.2310, 45.5550, 1500),
    ("NAX-ALINJA", "Alinja fortress", "Əlincəqala", 39.1897, 45.6956, 400),
    ("NAX-ILANLI", "Mount Ilanli, viewpoint", "İlandağ, baxış yeri", 39.1300, 45.7200, 2000),
    ("NAX-GULUSTAN", "Gulustan Mausoleum, Julfa", "Gülüstan türbəsi, Culfa",
     38.9660, 45.5900, 1500),
    ("NAX-KARABAGHLAR", "Karabaghlar Mausoleum", "Qarabağlar türbəsi", 39.4267, 45.1925, 800),
    ("NAX-BATABAT", "Lake Batabat", "Batabat gölü", 39.5360, 45.7870, 1000),
    ("NAX-SIRAB", "Sirab mineral springs", "Sirab mineral bulaqları", 39.2990, 45.5280, 1500),
    ("NAX-ORDUBAD", "Ordubad, old town", "Ordubad, köhnə şəhər", 38.9060, 46.0250, 500),
    ("NAX-GILAN", "Kharaba-Gilan, ruins", "Xaraba-Gilan xarabalıqları", 38.9550, 45.8280, 2000),
    ("NAX-AZA", "Aza bridge", "Aza körpüsü", 38.9350, 45.8800, 1500),
]

ZANGEZUR = (
    "The Zangezur Corridor: A Bridge Connecting Turkic Geography",
    "Zəngəzur dəhlizi: Türk coğrafiyasını birləşdirən körpü",
)
AZ_KZ_FORUM = (
    "1st Forum on Cooperation between Azerbaijani and Kazakh NGOs",
    "Azərbaycan və Qazaxıstan QHT-lərinin əməkdaşlığına dair I Forum",
)
WUF13 = (
    "Towards WUF13 – the first in the Turkic world",
    "WUF13-ə doğru – türk dünyasında ilk",
)

# code, kind, title_en, title_az, site, day of November 2025, start, end
PROGRAMME = [
    ("P01", "ceremony", "Opening of the forum", "Forumun açılışı", "BAK-GULISTAN", 24,
     "14:30", "15:30"),
    ("P02", "panel", *ZANGEZUR, "BAK-GULISTAN", 24, "15:45", "17:00"),
    ("P03", "panel", *AZ_KZ_FORUM, "BAK-GULISTAN", 24, "15:45", "17:15"),
    ("P04", "panel", "NGOs of the Turkic states: solidarity, experience, partnership",
     "Türk dövlətlərinin QHT-ləri: həmrəylik, təcrübə, tərəfdaşlıq", "BAK-GULISTAN", 24,
     "17:15", "18:15"),
    ("P05", "ceremony", "Presentation of the delegations", "Nümayəndə heyətlərinin təqdimatı",
     "BAK-GULISTAN", 24, "18:15", "18:45"),
    ("P06", "ceremony", "Close of the first day", "Birinci günün yekunu", "BAK-GULISTAN", 24,
     "18:45", "19:00"),
    ("C01", "cultural", "Cultural programme, \"Songs of the Turkic World\"",
     "Mədəni proqram, \"Türk dünyasının nəğmələri\"", "BAK-HAC", 24, "20:00", "22:00"),
    ("P07", "ceremony", "The forum goes on in Nakhchivan", "Forum Naxçıvanda davam edir", "NAX-UNI",
     25, "09:15", "10:00"),
    ("P08", "ceremony", "Founding of the NGO platform", "QHT platformasının təsis edilməsi",
     "NAX-UNI", 25, "10:15", "11:15"),
    ("P09", "panel", WUF13[0] + ", part 1", WUF13[1] + ", I hissə", "NAX-UNI", 25,
     "11:30", "13:00"),
    ("P10", "panel", WUF13[0] + ", part 2", WUF13[1] + ", II hissə", "NAX-UNI", 25,
     "14:00", "15:30"),
    ("C02", "cultural", "Concert of the State Theatre", "Dövlət Teatrının konserti", "NAX-THEATRE",
     25, "19:00", "21:00"),
    ("P11", "ceremony", "Close of the forum", "Forumun bağlanışı", "NAX-UNI", 26, "18:00", "19:00"),
    ("C03", "cultural", "Farewell evening", "Vida gecəsi", "NAX-KHAN", 26, "20:00", "22:00"),
]

# code, site, day, start, end
VISITS = [
    ("V01", "BAK-HONOUR", 24, "09:00", "09:40"),
    ("V02", "BAK-MARTYRS", 24, "10:00", "10:40"),
    ("V03", "BAK-TURKISH", 24, "10:45", "11:15"),
    ("V04", "BAK-VICTORY", 24, "11:45", "12:30"),
    ("V05", "BAK-HAC", 24, "12:45", "14:00"),
    ("V06", "NAX-MOMINE", 25, "16:00", "16:45"),
    ("V07", "NAX-KHAN", 25, "17:00", "17:45"),
    ("V08", "NAX-NOAH", 26, "09:00", "09:45"),
    ("V09", "NAX-ALINJA", 26, "14:30", "16:30"),
    ("V10", "NAX-KAHF", 26, "09:30", "11:00"),
    ("V11", "NAX-DUZDAG", 26, "09:30", "10:45"),
    ("V12", "NAX-KARABAGHLAR", 26, "11:15", "12:30"),
    ("V13", "NAX-BATABAT", 26, "10:30", "12:30"),
    ("V14", "NAX-SIRAB", 26, "13:15", "14:00"),
    ("V15", "NAX-ORDUBAD", 26, "10:30", "13:00"),
    ("V16", "NAX-GILAN", 26, "13:45", "14:45"),
    ("V17", "NAX-AZA", 26, "15:00", "15:30"),
    ("V18", "NAX-GULUSTAN", 26, "11:30", "12:15"),
    ("V19", "NAX-ILANLI", 26, "13:15", "13:45"),
    ("V20", "NAX-YUSIF", 26, "10:00", "10:30"),
    ("V21", "NAX-JAVID", 26, "10:45", "11:15"),
]
