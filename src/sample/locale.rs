//! Names, languages and places of the people, in sixteen languages and ten scripts.
//!
//! The tables have sizes that are powers of two, so that a person's number splits into indices without a remainder.

/// A name as it is written, and how its handle spells it.
pub(super) type Name = (&'static str, &'static str);

/// Where people come from.
#[derive(Debug)]
pub(super) struct Locale {
    pub(super) language: &'static str,
    pub(super) timezones: [&'static str; 2],
    pub(super) domain: &'static str,
    pub(super) order: Order,
    pub(super) given: [Name; 16],
    pub(super) family: [Name; 8],
}

/// How the parts of a name are put together.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    GivenFirst,
    FamilyFirst,
    /// Family name first, without a space.
    Joined,
}

impl Order {
    pub(super) fn join(self, given: &str, family: &str) -> String {
        match self {
            Self::GivenFirst => format!("{given} {family}"),
            Self::FamilyFirst => format!("{family} {given}"),
            Self::Joined => format!("{family}{given}"),
        }
    }
}

/// The languages. No two people of these tables share a handle; the tests hold whoever edits them to it.
#[rustfmt::skip]
pub(super) static LOCALES: [Locale; 16] = [
    Locale {
        language: "en", timezones: ["America/New_York", "Europe/London"], domain: "mail.example", order: Order::GivenFirst,
        given: [
            ("Alice", "alice"), ("Benjamin", "benjamin"), ("Charlotte", "charlotte"), ("Daniel", "daniel"),
            ("Emily", "emily"), ("Frank", "frank"), ("Grace", "grace"), ("Henry", "henry"),
            ("Isla", "isla"), ("Jack", "jack"), ("Karen", "karen"), ("Liam", "liam"),
            ("Megan", "megan"), ("Noah", "noah"), ("Olivia", "olivia"), ("Zoë", "zoe"),
        ],
        family: [
            ("Baker", "baker"), ("Brontë", "bronte"), ("Clarke", "clarke"), ("Evans", "evans"),
            ("Hughes", "hughes"), ("Morgan", "morgan"), ("Turner", "turner"), ("Walker", "walker"),
        ],
    },
    Locale {
        language: "es", timezones: ["Europe/Madrid", "America/Bogota"], domain: "compañía.example", order: Order::GivenFirst,
        given: [
            ("José", "jose"), ("María", "maria"), ("Íñigo", "inigo"), ("Lucía", "lucia"),
            ("Andrés", "andres"), ("Belén", "belen"), ("Iván", "ivan"), ("Sofía", "sofia"),
            ("Martín", "martin"), ("Inés", "ines"), ("Raúl", "raul"), ("Noelia", "noelia"),
            ("Álvaro", "alvaro"), ("Rocío", "rocio"), ("Tomás", "tomas"), ("Begoña", "begona"),
        ],
        family: [
            ("García", "garcia"), ("Muñoz", "munoz"), ("Ibáñez", "ibanez"), ("Núñez", "nunez"),
            ("Rodríguez", "rodriguez"), ("Peña", "pena"), ("Hernández", "hernandez"), ("Gómez", "gomez"),
        ],
    },
    Locale {
        language: "de", timezones: ["Europe/Berlin", "Europe/Vienna"], domain: "grün.example", order: Order::GivenFirst,
        given: [
            ("Jürgen", "juergen"), ("Käthe", "kaethe"), ("Björn", "bjoern"), ("Anneliese", "anneliese"),
            ("Günther", "guenther"), ("Heike", "heike"), ("Jörg", "joerg"), ("Bärbel", "baerbel"),
            ("Uwe", "uwe"), ("Ingrid", "ingrid"), ("Matthias", "matthias"), ("Sören", "soeren"),
            ("Lieselotte", "lieselotte"), ("Götz", "goetz"), ("Dörte", "doerte"), ("Ulrich", "ulrich"),
        ],
        family: [
            ("Müller", "mueller"), ("Schäfer", "schaefer"), ("Weiß", "weiss"), ("Köhler", "koehler"),
            ("Jäger", "jaeger"), ("Strauß", "strauss"), ("Vogel", "vogel"), ("Hübner", "huebner"),
        ],
    },
    Locale {
        language: "fr", timezones: ["Europe/Paris", "America/Montreal"], domain: "été.example", order: Order::GivenFirst,
        given: [
            ("François", "francois"), ("Zoé", "zoe"), ("Hélène", "helene"), ("Léa", "lea"),
            ("Gaël", "gael"), ("Chloé", "chloe"), ("Benoît", "benoit"), ("Océane", "oceane"),
            ("Jérôme", "jerome"), ("Anaïs", "anais"), ("Loïc", "loic"), ("Solène", "solene"),
            ("Rémi", "remi"), ("Maëlle", "maelle"), ("Cédric", "cedric"), ("Agnès", "agnes"),
        ],
        family: [
            ("Lefèvre", "lefevre"), ("Hébert", "hebert"), ("Beauchêne", "beauchene"), ("Lacroix", "lacroix"),
            ("Moulin", "moulin"), ("Gérard", "gerard"), ("Besançon", "besancon"), ("Prévost", "prevost"),
        ],
    },
    Locale {
        language: "pl", timezones: ["Europe/Warsaw", "Europe/Prague"], domain: "żółw.example", order: Order::GivenFirst,
        given: [
            ("Łukasz", "lukasz"), ("Małgorzata", "malgorzata"), ("Paweł", "pawel"), ("Agnieszka", "agnieszka"),
            ("Stanisław", "stanislaw"), ("Bożena", "bozena"), ("Michał", "michal"), ("Żaneta", "zaneta"),
            ("Jiří", "jiri"), ("Grażyna", "grazyna"), ("Tomáš", "tomas"), ("Šárka", "sarka"),
            ("Ondřej", "ondrej"), ("Zdeňka", "zdenka"), ("Jarosław", "jaroslaw"), ("Kateřina", "katerina"),
        ],
        family: [
            ("Wójcik", "wojcik"), ("Kowalczyk", "kowalczyk"), ("Mróz", "mroz"), ("Gołąb", "golab"),
            ("Dvořák", "dvorak"), ("Kříž", "kriz"), ("Růžička", "ruzicka"), ("Wróbel", "wrobel"),
        ],
    },
    Locale {
        language: "tr", timezones: ["Europe/Istanbul", "Asia/Nicosia"], domain: "örnek.example", order: Order::GivenFirst,
        given: [
            ("Ayşe", "ayse"), ("Çağla", "cagla"), ("Gökhan", "gokhan"), ("Özlem", "ozlem"),
            ("Şebnem", "sebnem"), ("Ümit", "umit"), ("Tuğba", "tugba"), ("Barış", "baris"),
            ("Yağmur", "yagmur"), ("Oğuz", "oguz"), ("Gülşen", "gulsen"), ("Doğan", "dogan"),
            ("Kıvanç", "kivanc"), ("Nazlı", "nazli"), ("Eylül", "eylul"), ("Müge", "muge"),
        ],
        family: [
            ("Yıldız", "yildiz"), ("Çelik", "celik"), ("Şahin", "sahin"), ("Öztürk", "ozturk"),
            ("Kılıç", "kilic"), ("Güneş", "gunes"), ("Aydın", "aydin"), ("Doğru", "dogru"),
        ],
    },
    Locale {
        language: "vi", timezones: ["Asia/Ho_Chi_Minh", "Asia/Bangkok"], domain: "thư.example", order: Order::FamilyFirst,
        given: [
            ("Anh", "anh"), ("Bình", "binh"), ("Châu", "chau"), ("Dũng", "dung"),
            ("Đức", "duc"), ("Giang", "giang"), ("Hạnh", "hanh"), ("Hương", "huong"),
            ("Khánh", "khanh"), ("Linh", "linh"), ("Minh", "minh"), ("Ngọc", "ngoc"),
            ("Phúc", "phuc"), ("Quỳnh", "quynh"), ("Thảo", "thao"), ("Tuấn", "tuan"),
        ],
        family: [
            ("Nguyễn", "nguyen"), ("Trần", "tran"), ("Lê", "le"), ("Phạm", "pham"),
            ("Hoàng", "hoang"), ("Vũ", "vu"), ("Đặng", "dang"), ("Bùi", "bui"),
        ],
    },
    Locale {
        language: "ru", timezones: ["Europe/Kyiv", "Asia/Almaty"], domain: "пример.example", order: Order::GivenFirst,
        given: [
            ("Юлия", "yuliya"), ("Дмитрий", "dmitry"), ("Ольга", "olga"), ("Сергей", "sergey"),
            ("Екатерина", "ekaterina"), ("Алексей", "aleksey"), ("Наталья", "natalya"), ("Михаил", "mikhail"),
            ("Светлана", "svetlana"), ("Павел", "pavel"), ("Ксения", "ksenia"), ("Тарас", "taras"),
            ("Олена", "olena"), ("Богдан", "bohdan"), ("Зоряна", "zoriana"), ("Артём", "artyom"),
        ],
        family: [
            ("Шевченко", "shevchenko"), ("Коваленко", "kovalenko"), ("Бондаренко", "bondarenko"), ("Ткаченко", "tkachenko"),
            ("Черных", "chernykh"), ("Седых", "sedykh"), ("Мельник", "melnyk"), ("Гончар", "honchar"),
        ],
    },
    Locale {
        language: "el", timezones: ["Europe/Athens", "Asia/Nicosia"], domain: "παράδειγμα.example", order: Order::GivenFirst,
        given: [
            ("Γιώργος", "giorgos"), ("Ελένη", "eleni"), ("Νίκος", "nikos"), ("Μαρία", "maria"),
            ("Κώστας", "kostas"), ("Δήμητρα", "dimitra"), ("Θανάσης", "thanasis"), ("Αικατερίνη", "aikaterini"),
            ("Σπύρος", "spyros"), ("Χριστίνα", "christina"), ("Παύλος", "pavlos"), ("Ιωάννα", "ioanna"),
            ("Στέλιος", "stelios"), ("Φωτεινή", "foteini"), ("Λεωνίδας", "leonidas"), ("Ζωή", "zoi"),
        ],
        family: [
            ("Νικολάου", "nikolaou"), ("Γεωργίου", "georgiou"), ("Παπαϊωάννου", "papaioannou"), ("Ιωάννου", "ioannou"),
            ("Χρήστου", "christou"), ("Αντωνίου", "antoniou"), ("Δημητρίου", "dimitriou"), ("Βασιλείου", "vasileiou"),
        ],
    },
    Locale {
        language: "ar", timezones: ["Africa/Cairo", "Asia/Riyadh"], domain: "مثال.example", order: Order::GivenFirst,
        given: [
            ("محمد", "mohammed"), ("فاطمة", "fatima"), ("أحمد", "ahmed"), ("عائشة", "aisha"),
            ("يوسف", "yousef"), ("مريم", "maryam"), ("عمر", "omar"), ("ليلى", "layla"),
            ("خالد", "khaled"), ("نور", "nour"), ("حسن", "hassan"), ("سلمى", "salma"),
            ("طارق", "tareq"), ("زينب", "zainab"), ("إبراهيم", "ibrahim"), ("هدى", "huda"),
        ],
        family: [
            ("الحسن", "alhassan"), ("المصري", "almasri"), ("الخطيب", "alkhatib"), ("حداد", "haddad"),
            ("النجار", "alnajjar"), ("منصور", "mansour"), ("السعيد", "alsaeed"), ("درويش", "darwish"),
        ],
    },
    Locale {
        language: "he", timezones: ["Asia/Jerusalem", "Europe/London"], domain: "דוגמה.example", order: Order::GivenFirst,
        given: [
            ("נועה", "noa"), ("דוד", "david"), ("שרה", "sara"), ("יונתן", "yonatan"),
            ("תמר", "tamar"), ("משה", "moshe"), ("מיכל", "michal"), ("אורי", "uri"),
            ("רחל", "rachel"), ("אלון", "alon"), ("יעל", "yael"), ("איתן", "eitan"),
            ("שירה", "shira"), ("גדעון", "gideon"), ("הדס", "hadas"), ("עומר", "omer"),
        ],
        family: [
            ("כהן", "cohen"), ("לוי", "levi"), ("מזרחי", "mizrahi"), ("פרץ", "peretz"),
            ("ביטון", "biton"), ("אברהם", "avraham"), ("פרידמן", "friedman"), ("שפירא", "shapira"),
        ],
    },
    Locale {
        language: "hi", timezones: ["Asia/Kolkata", "Asia/Kathmandu"], domain: "उदाहरण.example", order: Order::GivenFirst,
        given: [
            ("आरव", "aarav"), ("प्रिया", "priya"), ("राहुल", "rahul"), ("अनन्या", "ananya"),
            ("विक्रम", "vikram"), ("दीपिका", "deepika"), ("अर्जुन", "arjun"), ("कविता", "kavita"),
            ("सुरेश", "suresh"), ("मीरा", "meera"), ("रोहन", "rohan"), ("नेहा", "neha"),
            ("संजय", "sanjay"), ("पूजा", "pooja"), ("अमित", "amit"), ("लक्ष्मी", "lakshmi"),
        ],
        family: [
            ("शर्मा", "sharma"), ("वर्मा", "verma"), ("गुप्ता", "gupta"), ("पटेल", "patel"),
            ("सिंह", "singh"), ("जोशी", "joshi"), ("अय्यर", "iyer"), ("मिश्रा", "mishra"),
        ],
    },
    Locale {
        language: "zh-cn", timezones: ["Asia/Shanghai", "Asia/Singapore"], domain: "例子.example", order: Order::Joined,
        given: [
            ("伟", "wei"), ("芳", "fang"), ("娜", "na"), ("秀英", "xiuying"),
            ("敏", "min"), ("静", "jing"), ("丽", "li"), ("强", "qiang"),
            ("磊", "lei"), ("洋", "yang"), ("艳", "yan"), ("勇", "yong"),
            ("杰", "jie"), ("娟", "juan"), ("涛", "tao"), ("明", "ming"),
        ],
        family: [
            ("王", "wang"), ("李", "li"), ("张", "zhang"), ("刘", "liu"),
            ("陈", "chen"), ("杨", "yang"), ("赵", "zhao"), ("黄", "huang"),
        ],
    },
    Locale {
        language: "ja", timezones: ["Asia/Tokyo", "America/Los_Angeles"], domain: "例え.example", order: Order::FamilyFirst,
        given: [
            ("翔太", "shota"), ("陽菜", "hina"), ("蓮", "ren"), ("結衣", "yui"),
            ("大翔", "hiroto"), ("さくら", "sakura"), ("健一", "kenichi"), ("美咲", "misaki"),
            ("拓海", "takumi"), ("葵", "aoi"), ("直樹", "naoki"), ("七海", "nanami"),
            ("悠斗", "yuto"), ("ひなた", "hinata"), ("誠", "makoto"), ("由美", "yumi"),
        ],
        family: [
            ("佐藤", "sato"), ("鈴木", "suzuki"), ("高橋", "takahashi"), ("田中", "tanaka"),
            ("渡辺", "watanabe"), ("伊藤", "ito"), ("山本", "yamamoto"), ("中村", "nakamura"),
        ],
    },
    Locale {
        language: "ko", timezones: ["Asia/Seoul", "Australia/Sydney"], domain: "실례.example", order: Order::Joined,
        given: [
            ("민준", "minjun"), ("서연", "seoyeon"), ("지훈", "jihun"), ("하은", "haeun"),
            ("도윤", "doyun"), ("수빈", "subin"), ("현우", "hyeonu"), ("지우", "jiu"),
            ("예준", "yejun"), ("유진", "yujin"), ("성민", "seongmin"), ("은지", "eunji"),
            ("태현", "taehyeon"), ("다은", "daeun"), ("준호", "junho"), ("미경", "migyeong"),
        ],
        family: [
            ("김", "kim"), ("이", "lee"), ("박", "park"), ("최", "choi"),
            ("정", "jung"), ("강", "kang"), ("조", "cho"), ("윤", "yoon"),
        ],
    },
    Locale {
        language: "th", timezones: ["Asia/Bangkok", "Asia/Singapore"], domain: "ตัวอย่าง.example", order: Order::GivenFirst,
        given: [
            ("สมชาย", "somchai"), ("สมหญิง", "somying"), ("กนกวรรณ", "kanokwan"), ("ณัฐพล", "nattapon"),
            ("ปิยะ", "piya"), ("วรรณา", "wanna"), ("ธนากร", "thanakorn"), ("สุนีย์", "sunee"),
            ("อนันต์", "anan"), ("มาลี", "malee"), ("ประเสริฐ", "prasert"), ("จันทร์เพ็ญ", "chanphen"),
            ("ศักดิ์ดา", "sakda"), ("รัตนา", "rattana"), ("วิชัย", "wichai"), ("ดวงใจ", "duangjai"),
        ],
        family: [
            ("แสงทอง", "saengthong"), ("ศรีสุข", "srisuk"), ("บุญมี", "boonmee"), ("ทองดี", "thongdee"),
            ("ใจดี", "jaidee"), ("วงศ์สวัสดิ์", "wongsawat"), ("พงษ์ไพร", "phongphrai"), ("สุวรรณ", "suwan"),
        ],
    },
];
