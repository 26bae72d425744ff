//! Who and what is supervised.

use super::code::uscc;
use super::feed::Record;
use super::random::{below, hash, unit};
use crate::record::{Kind, Millis, time};
use serde_json::{Value, json};

/// What an object is, and with that what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Restaurant,
    Canteen,
    Shop,
    ColdFirm,
    ColdStore,
    GasCompany,
    GasStation,
    FillingStation,
    Cylinder,
    Regulator,
    Well,
    Property,
    Firm,
    Lift,
    Boiler,
    Crane,
}

/// The part an object plays in an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    Leak,
    SilentDetector,
    Illness,
    ExpiredLicence,
    LongExpiredLicence,
    FailedSample,
    WarmStore,
    Drift,
    OverPressure,
    InspectionOverdue,
    Trapped,
    MaintenanceOverdue,
    BadFills,
    /// Cylinder whose inspection is overdue.
    Overdue,
    Scrapped,
}

pub(super) struct Object {
    pub(super) sort: Sort,
    pub(super) role: Role,
    /// `type:code`; an enterprise has none.
    pub(super) id: Option<String>,
    pub(super) entity: String,
    pub(super) name: String,
    pub(super) region: &'static str,
    pub(super) street: String,
    pub(super) industry: &'static str,
    tags: Vec<&'static str>,
    lon: f64,
    lat: f64,
    seed: u64,
    /// The index of the maintenance firm, for lifts.
    firm: Option<usize>,
    firm_code: Option<String>,
    /// Event time of the last maintenance before the start, for lifts.
    pub(super) maintained: Option<Millis>,
}

/// A district or zone.
struct District {
    code: &'static str,
    name: &'static str,
    /// Invented names; the number of a street is its place here.
    streets: &'static [&'static str],
    /// Share of the objects, hundredths.
    share: u64,
    /// Longitude and latitude of the middle, degrees.
    centre: (f64, f64),
}

const DISTRICTS: &[District] = &[
    District {
        code: "371102",
        name: "东港",
        streets: &["海曲", "听涛", "望潮", "石桥", "南湖滨", "松林"],
        share: 34,
        centre: (119.46, 35.42),
    },
    District {
        code: "371103",
        name: "岚山",
        streets: &["岚湾", "安澜", "虎峪", "碑廓东"],
        share: 14,
        centre: (119.32, 35.12),
    },
    District {
        code: "371121",
        name: "五莲",
        streets: &["莲溪", "松柏", "许孟南", "街头岭"],
        share: 13,
        centre: (119.21, 35.75),
    },
    District {
        code: "371122",
        name: "莒县",
        streets: &["浮来", "沭东", "陵阳北", "刘官岭"],
        share: 19,
        centre: (118.84, 35.58),
    },
    District { code: "371171", name: "开发区", streets: &["奎峰", "沙墩"], share: 9, centre: (119.49, 35.36) },
    District { code: "371172", name: "高新区", streets: &["高兴", "河源"], share: 7, centre: (119.42, 35.44) },
    District { code: "371173", name: "山海天", streets: &["卧龙", "万平"], share: 4, centre: (119.58, 35.52) },
];

const WORDS: &[&str] = &[
    "滨海", "望潮", "老灶", "百味", "同福", "渔家", "金穗", "春和", "顺源", "鼎鲜", "云汀", "松月", "东篱", "禾丰",
    "临港", "潮生", "暖巷", "福满", "小城", "知味", "一品", "海岳", "青禾", "蓝鲸", "日出", "归燕",
];

/// How many of each.
const COUNTS: &[(Sort, usize)] = &[
    (Sort::Firm, 25),
    (Sort::Property, 300),
    (Sort::GasCompany, 6),
    (Sort::Restaurant, 8_000),
    (Sort::Canteen, 1_000),
    (Sort::Shop, 2_400),
    (Sort::ColdFirm, 250),
    (Sort::ColdStore, 500),
    (Sort::GasStation, 40),
    (Sort::FillingStation, 30),
    (Sort::Cylinder, 2_000),
    (Sort::Regulator, 700),
    (Sort::Well, 1_600),
    (Sort::Lift, 6_000),
    (Sort::Boiler, 400),
    (Sort::Crane, 450),
];

pub(super) struct Objects {
    pub(super) seed: u64,
    pub(super) all: Vec<Object>,
}

impl Objects {
    pub(super) fn new(seed: u64) -> Objects {
        let mut all: Vec<Object> = Vec::with_capacity(24_000);
        let mut serial = 0;
        for &(sort, count) in COUNTS {
            let owners = |of: Sort| -> Vec<usize> {
                all.iter().enumerate().filter(|(_, o)| o.sort == of).map(|(n, _)| n).collect()
            };
            // Things belong to an enterprise that is there already; the others are enterprises themselves.
            let owner = match sort {
                Sort::ColdStore => owners(Sort::ColdFirm),
                Sort::GasStation | Sort::Regulator | Sort::Well => owners(Sort::GasCompany),
                Sort::Cylinder => owners(Sort::FillingStation),
                Sort::Lift | Sort::Boiler | Sort::Crane => owners(Sort::Property),
                _ => Vec::new(),
            };
            let firms = if sort == Sort::Lift { owners(Sort::Firm) } else { Vec::new() };
            for k in 0..count {
                let n = all.len() as u64;
                let District { code: region, name: district, streets, centre, .. } = *district(below(seed, n, 1, 100));
                let street = below(seed, n, 2, streets.len() as u64);
                let road = streets[usize::try_from(street).unwrap_or(0)];
                let id = match sort {
                    Sort::Cylinder => Some(format!("cylinder:{region}-{k:05}")),
                    Sort::ColdStore => Some(format!("equip:{region}-C{k:04}")),
                    Sort::GasStation => Some(format!("equip:{region}-S{k:04}")),
                    Sort::Regulator => Some(format!("equip:{region}-R{k:04}")),
                    Sort::Well => Some(format!("equip:{region}-V{k:04}")),
                    Sort::Lift => Some(format!("equip:{region}-L{k:05}")),
                    Sort::Boiler => Some(format!("equip:{region}-B{k:04}")),
                    Sort::Crane => Some(format!("equip:{region}-K{k:04}")),
                    _ => None,
                };
                let entity = if owner.is_empty() {
                    serial += 1;
                    let form = if sort == Sort::Restaurant && below(seed, n, 3, 2) == 0 { "92" } else { "91" };
                    uscc(form, region, serial)
                } else {
                    all[owner[usize::try_from(hash(seed, n, 4)).unwrap_or(k) % owner.len()]].entity.clone()
                };
                let firm =
                    (!firms.is_empty()).then(|| firms[usize::try_from(hash(seed, n, 5)).unwrap_or(k) % firms.len()]);
                let firm_code = firm.map(|f| all[f].entity.clone());
                let word = WORDS[usize::try_from(below(seed, n, 6, WORDS.len() as u64)).unwrap_or(0)];
                let (industry, tags, name) = describe(seed, n, sort, k, district, road, word);
                all.push(Object {
                    sort,
                    role: Role::Plain,
                    id,
                    entity,
                    name,
                    region,
                    street: format!("{region}{:03}", street + 1),
                    industry,
                    tags,
                    lon: centre.0 + (unit(seed, n, 7) - 0.5) * 0.16,
                    lat: centre.1 + (unit(seed, n, 8) - 0.5) * 0.16,
                    seed: hash(seed, n, 9),
                    firm,
                    firm_code,
                    // Within the last 12 days, so that a lift is next due after the first day and before the 15th.
                    maintained: (sort == Sort::Lift).then(|| {
                        super::START - 3_600_000 - Millis::try_from(below(seed, n, 10, 12 * 86_400)).unwrap_or(0) * 1000
                    }),
                });
            }
        }
        let mut objects = Objects { seed, all };
        objects.cast();
        objects
    }

    /// Gives the parts. Each goes to the first object of its sort, and tag, that has none yet.
    fn cast(&mut self) {
        for (sort, tag, role) in [
            (Sort::Restaurant, "gas_user", Role::Leak),
            (Sort::Restaurant, "gas_user", Role::SilentDetector),
            (Sort::Canteen, "school_canteen", Role::Illness),
            (Sort::Restaurant, "", Role::ExpiredLicence),
            (Sort::Restaurant, "", Role::LongExpiredLicence),
            (Sort::Restaurant, "", Role::FailedSample),
            (Sort::ColdStore, "frozen", Role::WarmStore),
            (Sort::Regulator, "", Role::Drift),
            (Sort::Boiler, "", Role::OverPressure),
            (Sort::Boiler, "", Role::InspectionOverdue),
            (Sort::Lift, "", Role::Trapped),
            (Sort::Lift, "", Role::MaintenanceOverdue),
            (Sort::FillingStation, "", Role::BadFills),
        ] {
            let object = self
                .all
                .iter_mut()
                .find(|o| o.sort == sort && o.role == Role::Plain && (tag.is_empty() || o.tags.contains(&tag)))
                .expect("there are hundreds of each sort and tag");
            object.role = role;
            if role == Role::MaintenanceOverdue {
                // 15 days and half an hour before the incident shows at 09:30.
                object.maintained = Some(super::START + 90 * 60_000 - 15 * 86_400_000);
            }
        }
        let station = self.with(Role::BadFills).entity.clone();
        let mut left = 4;
        for object in self.all.iter_mut().filter(|o| o.sort == Sort::Cylinder) {
            if left == 0 {
                break;
            }
            object.entity.clone_from(&station);
            object.role = if left == 1 { Role::Scrapped } else { Role::Overdue };
            left -= 1;
        }
    }

    /// The first object that plays a part.
    pub(super) fn with(&self, role: Role) -> &Object {
        self.all.iter().find(|o| o.role == role).expect("every part is given")
    }

    pub(super) fn of(&self, sort: Sort) -> impl Iterator<Item = (usize, &Object)> {
        self.all.iter().enumerate().filter(move |(_, o)| o.sort == sort)
    }

    /// Every street, with its region.
    pub(super) fn streets() -> Vec<(&'static str, String)> {
        DISTRICTS
            .iter()
            .flat_map(|d| (1..=d.streets.len()).map(move |n| (d.code, format!("{}{n:03}", d.code))))
            .collect()
    }
}

/// Code and name of every street.
pub(crate) fn street_names() -> impl Iterator<Item = (String, String)> {
    DISTRICTS
        .iter()
        .flat_map(|d| (1..).zip(d.streets).map(|(n, name)| (format!("{}{n:03}", d.code), format!("{name}街道"))))
}

fn district(share: u64) -> &'static District {
    let mut upto = 0;
    for district in DISTRICTS {
        upto += district.share;
        if share < upto {
            return district;
        }
    }
    &DISTRICTS[0]
}

fn describe(
    seed: u64,
    n: u64,
    sort: Sort,
    k: usize,
    district: &str,
    road: &str,
    word: &str,
) -> (&'static str, Vec<&'static str>, String) {
    let number = below(seed, n, 11, 400) + 1;
    let pick = |list: &[&'static str]| list[usize::try_from(below(seed, n, 12, list.len() as u64)).unwrap_or(0)];
    match sort {
        Sort::Restaurant => {
            let mut tags = vec!["restaurant"];
            if below(seed, n, 13, 10) < 6 {
                tags.extend(["gas_user", "gas_detector"]);
            }
            (
                "food",
                tags,
                format!("{road}路{number}号{word}{}", pick(&["小馆", "面馆", "火锅店", "海鲜楼", "快餐店", "饺子馆"])),
            )
        }
        Sort::Canteen => match below(seed, n, 13, 10) {
            0..4 => {
                let school = pick(&["实验小学", "中学", "职业学校", "中心小学"]);
                (
                    "food",
                    vec!["canteen", "school", "school_canteen"],
                    format!("{district}{road}第{}{school}食堂", k % 9 + 1),
                )
            }
            4 | 5 => ("food", vec!["canteen", "elderly_care"], format!("{district}{road}{word}养老院食堂")),
            _ => ("food", vec!["canteen"], format!("{district}{word}机械厂食堂")),
        },
        Sort::Shop => (
            "food",
            vec!["food_shop"],
            format!("{road}路{number}号{word}{}", pick(&["超市", "水产店", "粮油店", "烘焙坊"])),
        ),
        Sort::ColdFirm => ("food", vec!["cold_chain"], format!("{district}{word}{k}冷链物流公司")),
        Sort::ColdStore => {
            let frozen = below(seed, n, 13, 2) == 0;
            let (tag, what) = if frozen { ("frozen", "冷冻") } else { ("chilled", "冷藏") };
            ("food", vec!["cold_store", tag], format!("{district}{road}冷库{what}{k}号间"))
        }
        Sort::GasCompany => ("gas", vec!["gas_operator"], format!("{word}燃气公司{}", k + 1)),
        Sort::GasStation => ("gas", vec!["gas_station"], format!("{district}{road}门站{}", k + 1)),
        Sort::FillingStation => ("gas", vec!["filling_station"], format!("{district}{word}充装站{}", k + 1)),
        Sort::Cylinder => ("gas", vec!["lpg_cylinder"], format!("液化气瓶{k:05}")),
        Sort::Regulator => ("gas", vec!["regulator"], format!("{district}{road}路{number}号调压箱")),
        Sort::Well => ("gas", vec!["valve_well"], format!("{district}{road}路{number}号阀井")),
        Sort::Property => ("special_equipment", vec!["equipment_user"], format!("{district}{word}物业{}", k + 1)),
        Sort::Firm => ("special_equipment", vec!["lift_maintainer"], format!("{word}电梯维保公司{}", k + 1)),
        Sort::Lift => {
            let (tag, place) = match below(seed, n, 13, 12) {
                0 => ("hospital", "医院门诊楼"),
                1 => ("school", "教学楼"),
                2 | 3 => ("crowded", "购物广场"),
                _ => ("residential", "小区"),
            };
            ("special_equipment", vec!["lift", tag], format!("{district}{road}{word}{place}{}号电梯", k % 8 + 1))
        }
        Sort::Boiler => ("special_equipment", vec!["boiler"], format!("{district}{word}供热{}号锅炉", k % 4 + 1)),
        Sort::Crane => ("special_equipment", vec!["crane"], format!("{district}{road}工地{}号塔吊", k % 6 + 1)),
    }
}

impl Object {
    /// The key of its own: the object, else the enterprise.
    pub(super) fn key(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.entity)
    }

    pub(super) fn has(&self, tag: &str) -> bool {
        self.tags.contains(&tag)
    }

    /// True for enterprises that hold a food licence and file daily checks.
    pub(super) fn food_business(&self) -> bool {
        matches!(self.sort, Sort::Restaurant | Sort::Canteen | Sort::Shop | Sort::ColdFirm)
    }

    /// Last day of the food licence.
    pub(super) fn licence_to(&self) -> i64 {
        let start = time::local_day(super::START);
        match self.role {
            Role::ExpiredLicence => start - 4,
            Role::LongExpiredLicence => start - 16,
            // From four months on: a reminder goes out 30 days before the end.
            _ => start + 120 + i64::try_from(below(self.seed, 1, 1, 1_500)).unwrap_or(0),
        }
    }

    /// Fields that every record about it carries.
    pub(super) fn envelope(
        &self,
        source_system: &str,
        source_dept: &str,
        industry: &str,
    ) -> serde_json::Map<String, Value> {
        let mut map = serde_json::Map::new();
        map.insert("source_system".into(), json!(source_system));
        map.insert("source_dept".into(), json!(source_dept));
        map.insert("entity_id".into(), json!(self.entity));
        if let Some(id) = &self.id {
            map.insert("object_id".into(), json!(id));
        }
        map.insert("industry".into(), json!(industry));
        map.insert("region".into(), json!(self.region));
        map.insert("street".into(), json!(self.street));
        map
    }

    /// Its registry version. `valid_from` is chosen so that nothing is overdue for want of records from before the
    /// start: who must report is expected to from that day on.
    pub(super) fn registry(&self, n: usize) -> Record {
        let start = time::local_day(super::START);
        let from = match self.role {
            Role::SilentDetector => start - 1,
            Role::MaintenanceOverdue => start - 15,
            _ => self.maintained.map_or(start, time::local_day),
        };
        let (kind, code) = match self.sort {
            Sort::Restaurant => ("restaurant", "H6210"),
            Sort::Canteen => ("canteen", "H6242"),
            Sort::Shop => ("food_shop", "F5220"),
            Sort::ColdFirm => ("cold_chain", "G5931"),
            Sort::ColdStore => ("cold_store", "G5931"),
            Sort::GasCompany => ("gas_operator", "D4511"),
            Sort::GasStation => ("gas_station", "D4511"),
            Sort::FillingStation => ("filling_station", "D4512"),
            Sort::Cylinder => ("gas_cylinder", "D4512"),
            Sort::Regulator => ("regulator", "D4511"),
            Sort::Well => ("valve_well", "D4511"),
            Sort::Property => ("property", "K7020"),
            Sort::Firm => ("lift_maintainer", "O8190"),
            Sort::Lift => ("lift", "K7020"),
            Sort::Boiler => ("boiler", "D4430"),
            Sort::Crane => ("crane", "E4790"),
        };
        let mut map = self.envelope("registry_base", self.owner_dept(), self.industry);
        map.insert("kind".into(), json!("registry"));
        map.insert("record_id".into(), json!(format!("rg-{n:06}")));
        map.insert("occurred_at".into(), json!(time::rfc3339(time::day_start(from))));
        map.insert("valid_from".into(), json!(date(from)));
        map.insert("name".into(), json!(self.name));
        map.insert("object_type".into(), json!(kind));
        map.insert("industry_code".into(), json!(code));
        map.insert("status".into(), json!(if self.role == Role::Scrapped { "closed" } else { "active" }));
        map.insert("tags".into(), json!(self.tags));
        let class = ["A", "A", "A", "B", "B", "B", "B", "B", "C", "C"];
        map.insert("risk_class".into(), json!(class[usize::try_from(self.seed % 10).unwrap_or(0)]));
        map.insert("lon".into(), json!(round(self.lon, 1e6)));
        map.insert("lat".into(), json!(round(self.lat, 1e6)));
        let inspection = match (self.role, self.sort) {
            (Role::InspectionOverdue, _) => Some(start - 20),
            (Role::Overdue, _) => Some(start - 45),
            (_, Sort::Lift | Sort::Boiler | Sort::Crane | Sort::Cylinder) => {
                Some(start + 90 + i64::try_from(below(self.seed, 2, 1, 270)).unwrap_or(0))
            }
            _ => None,
        };
        if let Some(day) = inspection {
            map.insert("next_due_at".into(), json!({"inspection": date(day)}));
        }
        if let (Some(_), Some(code)) = (self.firm, &self.firm_code) {
            map.insert("links".into(), json!([{"type": "maintains", "other_id": code}]));
        }
        Record { kind: Kind::Registry, source: "registry", payload: Value::Object(map).to_string(), fault: None }
    }

    fn owner_dept(&self) -> &'static str {
        if self.industry == "gas" { "urban_management" } else { "market_regulation" }
    }
}

/// `YYYY-MM-DD` of a day number.
pub(super) fn date(day: i64) -> String {
    let (y, m, d) = time::civil(day);
    format!("{y:04}-{m:02}-{d:02}")
}

pub(super) fn round(value: f64, by: f64) -> f64 {
    (value * by).round() / by
}
