//! Further shapes, made by rule: what is empty, many, long, nested or not of ASCII. As for the others, nothing in them is
//! of a real person.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{CartLine, Change};

/// A visitor of whom nothing is known yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Visitor {
    pub(crate) user_id: Option<u64>,
    pub(crate) flash: Vec<String>,
    pub(crate) cart: Vec<CartLine>,
    pub(crate) visits: u64,
}

/// A user and 40 permissions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Staff {
    pub(crate) user_id: u64,
    pub(crate) login_at: u64,
    pub(crate) permissions: Vec<String>,
}

/// A user whose names and addresses are not of ASCII.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) user_id: u64,
    pub(crate) login_at: u64,
    pub(crate) name: String,
    pub(crate) company: String,
    pub(crate) street: String,
    pub(crate) city: String,
    pub(crate) contacts: Vec<String>,
    pub(crate) greeting: String,
}

/// A user and the 20 documents opened last, by UUID.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Documents {
    pub(crate) user_id: u64,
    pub(crate) opened: u64,
    pub(crate) recent: Vec<String>,
}

/// What a SAML identity provider tells: 30 attributes of three values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saml {
    pub(crate) name_id: String,
    pub(crate) session_index: u64,
    pub(crate) attributes: BTreeMap<String, Vec<String>>,
}

/// A user and 200 small settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) user_id: u64,
    pub(crate) changed: u64,
    pub(crate) settings: BTreeMap<String, String>,
}

/// A user and 400 flags, in an order of its own each time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flags {
    pub(crate) user_id: u64,
    pub(crate) changed: u64,
    pub(crate) flags: HashMap<String, bool>,
}

/// A user and what 20 projects allow, each by 12 names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Projects {
    pub(crate) user_id: u64,
    pub(crate) changed: u64,
    pub(crate) projects: HashMap<String, HashMap<String, u64>>,
}

pub(crate) fn empty() -> Visitor {
    Visitor::default()
}

pub(crate) fn permissions() -> Staff {
    const THINGS: [&str; 10] = [
        "orders",
        "invoices",
        "customers",
        "products",
        "reports",
        "refunds",
        "shipments",
        "users",
        "audit",
        "webhooks",
    ];
    let permissions = THINGS
        .iter()
        .flat_map(|thing| {
            ["read", "create", "update", "delete"].map(|verb| format!("{thing}:{verb}"))
        })
        .collect();
    Staff { user_id: 48_213, login_at: 1_792_400_100, permissions }
}

pub(crate) fn non_ascii() -> Profile {
    let contacts = [
        "Ελένη Παπαδοπούλου",
        "Jürgen Weiß",
        "Željko Šarić",
        "山田 太郎",
        "Nguyễn Thị Hồng",
        "Владимир Щукин",
    ];
    Profile {
        user_id: 48_213,
        login_at: 1_792_400_100,
        name: "Григорий Александрович Ёлкин".into(),
        company: "株式会社サンプル製作所".into(),
        street: "Große Straße 12, Hinterhof rechts".into(),
        city: "Αλεξανδρούπολη".into(),
        contacts: contacts.map(Into::into).into(),
        greeting: "Добро пожаловать! Ваш заказ уже в пути и будет доставлен завтра до полудня."
            .into(),
    }
}

pub(crate) fn uuids() -> Documents {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let recent = (0..20).map(|_| random.uuid()).collect();
    Documents { user_id: 48_213, opened: 1_792_400_100, recent }
}

pub(crate) fn saml() -> Saml {
    const CLAIMS: [&str; 10] = [
        "emailaddress",
        "givenname",
        "surname",
        "upn",
        "role",
        "group",
        "costcenter",
        "department",
        "office",
        "title",
    ];
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut attributes = BTreeMap::new();
    for realm in [
        "schemas.example.org/ws/2005/05",
        "schemas.example.com/ws/2008/06",
        "idp.example.net/2019/01",
    ] {
        for claim in CLAIMS {
            let values = (0..3).map(|i| match claim {
                "emailaddress" | "upn" => {
                    format!("erika.mustermann{}@department-{i}.example.com", random.next() % 1000)
                }
                "role" | "group" => {
                    format!("CN=App-{:04x},OU=Groups,DC=corp,DC=example", random.next() % 0x10000)
                }
                _ => {
                    let [a, b] = [(); 2].map(|()| random.next());
                    format!(
                        "{claim} {:08x}, reference {:08x}",
                        a % 0x1_0000_0000,
                        b % 0x1_0000_0000
                    )
                }
            });
            attributes.insert(format!("http://{realm}/identity/claims/{claim}"), values.collect());
        }
    }
    Saml { name_id: random.uuid(), session_index: 1_792_400_100, attributes }
}

pub(crate) fn map_of_200() -> Settings {
    let mut random = Random(0xda94_2042_e4dd_58b5);
    let settings = (0..200)
        .map(|i| (format!("panel.{i}.width"), format!("{} px", random.next() % 2000)))
        .collect();
    Settings { user_id: 48_213, changed: 1_792_400_100, settings }
}

pub(crate) fn flags_400() -> Flags {
    let mut random = Random(0x6a09_e667_f3bc_c908);
    let flags = (0..400).map(|i| (format!("flag.{i}"), random.next().is_multiple_of(2))).collect();
    Flags { user_id: 48_213, changed: 1_792_400_100, flags }
}

pub(crate) fn nested() -> Projects {
    let mut random = Random(0x3c6e_f372_fe94_f82b);
    let mut project =
        || (0..12).map(|i| (format!("action.{i}"), random.next() % 100_000)).collect();
    let projects = (0..20).map(|i| (format!("project-{i}"), project())).collect();
    Projects { user_id: 48_213, changed: 1_792_400_100, projects }
}

impl Change for Visitor {
    fn change(&mut self) -> u64 {
        self.visits += 1;
        self.visits
    }
}

impl Change for Staff {
    fn change(&mut self) -> u64 {
        self.login_at += 1;
        self.login_at
    }
}

impl Change for Profile {
    fn change(&mut self) -> u64 {
        self.login_at += 1;
        self.login_at
    }
}

impl Change for Documents {
    fn change(&mut self) -> u64 {
        self.recent.rotate_right(1);
        self.opened += 1;
        self.opened
    }
}

impl Change for Saml {
    fn change(&mut self) -> u64 {
        self.session_index += 1;
        self.session_index
    }
}

impl Change for Settings {
    fn change(&mut self) -> u64 {
        self.changed += 1;
        self.changed
    }
}

impl Change for Flags {
    fn change(&mut self) -> u64 {
        self.changed += 1;
        self.changed
    }
}

impl Change for Projects {
    fn change(&mut self) -> u64 {
        self.changed += 1;
        self.changed
    }
}

/// The same numbers at each run: xorshift64*, Vigna 2014.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Returns a UUID of version 4.
    fn uuid(&mut self) -> String {
        let [a, b, c, d] = [(); 4].map(|()| self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a & 0xffff_ffff,
            b & 0xffff,
            b >> 16 & 0xfff,
            c & 0xfff,
            d & 0xffff_ffff_ffff
        )
    }
}
