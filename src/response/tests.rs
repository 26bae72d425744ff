use super::lead::{self, Grounds};
use super::sample::{any_change, at, change, pack, reference};
use super::*;
use crate::engine::{Change, ChangeKind};
use crate::pack::shared::Allowed;
use crate::record::{Kind, Level};
use proptest::prelude::*;
use serde_json::{Value, json};

fn told(warning: &Warning) -> String {
    let one = |a: &Audience| format!("{}.{}", a.dept, a.region);
    warning.told.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// An orange gas leak with one thing changed.
fn with(vary: impl FnOnce(&mut Change)) -> Warning {
    let mut c = change(Level::Orange);
    vary(&mut c);
    respond(&pack(), &c)
}

#[test]
fn each_level_tells_whom_the_handbook_names() {
    for (level, expected) in [
        (Level::Blue, "urban_management.371102"),
        (Level::Yellow, "urban_management.371100 urban_management.371102 housing.371100 housing.371102"),
        (
            Level::Orange,
            "urban_management.371100 urban_management.371102 housing.371100 housing.371102 \
             fire_rescue.371100 fire_rescue.371102 market_regulation.371100 market_regulation.371102 \
             joint_office.371100",
        ),
        (
            Level::Red,
            "urban_management.371100 urban_management.371102 housing.371100 housing.371102 \
             fire_rescue.371100 fire_rescue.371102 public_security.371100 public_security.371102 duty_office.371100 \
             market_regulation.371100 market_regulation.371102 joint_office.371100 \
             emergency_management.371100 emergency_management.371102",
        ),
    ] {
        assert_eq!(told(&respond(&pack(), &change(level))), expected, "{level:?}");
    }
}

#[test]
fn a_higher_level_tells_everyone_that_the_lower_told() {
    for pair in Level::ALL.windows(2) {
        let [low, high] = [pair[0], pair[1]].map(|level| respond(&pack(), &change(level)).told);
        assert!(low.iter().all(|a| high.contains(a)), "{pair:?}");
    }
}

#[test]
fn a_subject_outside_every_district_is_told_at_the_city() {
    for region in [None, Some("371100"), Some("370200")] {
        let w = with(|c| {
            c.level = Level::Blue;
            c.subject.region = region.map(str::to_owned);
        });
        assert_eq!(told(&w), "urban_management.371100", "{region:?}");
        assert_eq!(w.departments.lead.branch, None);
    }
}

#[test]
fn a_street_is_told_by_its_name_and_an_unlisted_one_by_region_and_code() {
    let headline = |street: &str| {
        let w = with(|c| {
            c.space = "street".into();
            c.subject.street = Some(street.to_owned());
        });
        // The restaurant whose complaint raised it is one of many.
        assert_eq!((w.subject.object_id, w.subject.tags.len()), (None, 0));
        w.subject.name
    };
    assert_eq!(headline("371102001").as_deref(), Some("东港区海曲街道"));
    assert_eq!(headline("371102009").as_deref(), Some("东港区街道371102009"));
}

#[test]
fn a_warning_about_one_object_among_its_trade_names_the_object() {
    let among = |state: &[(&str, &str)]| {
        let w = with(|c| {
            c.space = "trade".into();
            c.state = state.iter().map(|(column, value)| ((*column).to_owned(), (*value).to_owned())).collect();
        });
        w.subject.object_id
    };
    assert!(among(&[("object_id", "equip:371102-0007")]).is_some());
    assert_eq!(among(&[]), None);
}

#[test]
fn a_tag_of_the_object_adds_its_department_at_every_level() {
    for level in Level::ALL {
        let mut c = change(level);
        c.subject.tags.push("school_canteen".to_owned());
        let w = respond(&pack(), &c);
        let education = w.departments.assist.iter().find(|a| a.id == "education");
        assert_eq!(education.map(|a| a.why.as_str()), Some("对象标签school_canteen"), "{level:?}");
    }
}

#[test]
fn the_district_answers_first_from_orange_on() {
    for level in Level::ALL {
        let w = respond(&pack(), &change(level));
        let region = w.departments.territory.map(|t| t.region);
        assert_eq!(region.as_deref(), (level >= Level::Orange).then_some("371102"), "{level:?}");
    }
}

#[test]
fn the_step_that_chose_the_lead_is_recorded() {
    let inspected = |dept: &str| reference(Kind::Inspection, dept, "i1", json!({}));
    let clue = |dept: &str, values: Value| reference(Kind::Supervision, dept, "s1", values);
    for (indicator, evidence, step, lead) in [
        ("gas_matter", vec![], 1, "market_regulation"),
        ("gas_sector", vec![], 2, "commerce"),
        ("gas_leak_lel", vec![], 2, "urban_management"),
        ("card_balance", vec![], 2, "commerce"),
        // The industry is unknown: from here on the evidence decides.
        ("orphan", vec![clue("commerce", json!({}))], 3, "commerce"),
        (
            "orphan",
            vec![clue("commerce", json!({})), clue("market_regulation", json!({ "matter_code": "SP-014" }))],
            3,
            "market_regulation",
        ),
        ("orphan", vec![clue("commerce", json!({})), clue("urban_management", json!({}))], 5, "joint_office"),
        ("orphan", vec![clue("health", json!({ "industry_code": "H6210" }))], 4, "market_regulation"),
        ("orphan", vec![inspected("housing@371102")], 4, "housing"),
        ("orphan", vec![], 5, "joint_office"),
        ("not_in_the_pack", vec![], 5, "joint_office"),
    ] {
        let w = with(|c| {
            c.indicator = indicator.into();
            c.evidence = evidence.clone();
        });
        let found = &w.departments.lead;
        assert_eq!((found.step, found.id.as_str()), (step, lead), "{indicator} {evidence:?}");
        assert!(!found.why.is_empty() && !found.why_en.is_empty());
    }
}

#[test]
fn of_several_owners_the_main_duty_leads() {
    let owner = |dept, matters, issued_licence, evidence| Owner { dept, matters, issued_licence, evidence };
    for (owners, expected) in [
        (vec![], None),
        (vec![owner("a", 0, false, 0)], Some("a")),
        (vec![owner("a", 1, true, 9), owner("b", 2, false, 1)], Some("b")),
        (vec![owner("a", 2, false, 9), owner("b", 2, true, 1)], Some("b")),
        (vec![owner("a", 2, true, 9), owner("b", 2, true, 1)], Some("a")),
        (vec![owner("a", 2, true, 1), owner("b", 2, true, 1)], None),
        (vec![owner("a", 2, true, 1), owner("b", 2, true, 1), owner("c", 3, false, 0)], Some("c")),
    ] {
        assert_eq!(by_main_duty(&owners), expected, "{owners:?}");
    }
}

#[test]
fn without_an_owner_the_nearest_trade_leads() {
    let codes = |list: &[&str]| list.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
    let (gas, food, tours) = (codes(&["D45"]), codes(&["C13", "H62"]), codes(&["H61", "N78"]));
    let trades = [("gas", gas.as_slice()), ("food", food.as_slice()), ("tours", tours.as_slice())];
    for (code, expected) in [
        ("H6210", vec!["food"]),
        ("6210", vec!["food"]),
        ("H61", vec!["tours"]),
        ("H69", vec!["food", "tours"]),
        ("h6210", vec!["food"]),
        ("D4511", vec!["gas"]),
        ("N62", vec!["tours"]),
        ("Z99", vec![]),
        ("4", vec![]),
        ("", vec![]),
        ("食品", vec![]),
    ] {
        assert_eq!(by_nearest_trade(code, &trades), expected, "{code}");
    }
}

#[test]
fn the_latest_inspection_within_two_years_breaks_a_tie() {
    const DAY: i64 = 86_400_000;
    let inspected = |dept, days_ago: i64| Inspected { dept, at: at(9, 0) - days_ago * DAY };
    for (candidates, inspections, expected) in [
        (vec![], vec![inspected("a", 9), inspected("b", 3)], Some("b")),
        (vec!["a"], vec![inspected("a", 9), inspected("b", 3)], Some("a")),
        (vec![], vec![inspected("a", 731)], None),
        (vec![], vec![inspected("a", 730)], Some("a")),
        (vec![], vec![inspected("a", -1)], None),
        (vec![], vec![inspected("a", 3), inspected("b", 3)], None),
        (vec![], vec![inspected("a", 3), inspected("a", 3)], Some("a")),
    ] {
        assert_eq!(by_latest_inspection(&candidates, &inspections, at(9, 0)), expected, "{inspections:?}");
    }
    assert_eq!(lead::assign(&Grounds::default()).step, 5);
}

#[test]
fn the_lead_of_an_indicator_is_known_without_a_warning() {
    let responder = Responder::new(&pack());
    for (indicator, lead) in [
        ("gas_leak_lel", "urban_management"),
        ("gas_matter", "market_regulation"),
        ("gas_sector", "commerce"),
        ("orphan", "joint_office"),
    ] {
        assert_eq!(responder.lead_of(indicator), lead);
    }
}

#[test]
fn several_departments_judge_together_when_they_must() {
    let second = reference(Kind::Supervision, "market_regulation@371102", "s1", json!({}));
    for (level, more, required, within) in [
        (Level::Blue, false, false, None),
        (Level::Yellow, true, false, None),
        (Level::Orange, false, false, Some("24h")),
        (Level::Orange, true, true, Some("24h")),
        (Level::Red, false, true, Some("2h")),
    ] {
        let mut c = change(level);
        c.evidence.extend(more.then(|| second.clone()));
        let found = respond(&pack(), &c).joint_assessment;
        let within = within.map(|text: &str| text.parse::<crate::pack::Span>().expect("a span"));
        assert_eq!((found.required, found.within), (required, within), "{level:?} {more}");
        assert_eq!(found.on_request, !required && level >= Level::Yellow, "{level:?} {more}");
    }
    let disputed = with(|c| {
        c.indicator = "orphan".into();
        c.level = Level::Yellow;
        c.evidence.clear();
    });
    assert!(disputed.joint_assessment.required);
}

#[test]
fn the_clocks_of_a_level_run_through_a_clear_and_a_return_until_the_end() {
    for (kind, clocks, plan) in [
        (ChangeKind::Raised, true, true),
        (ChangeKind::Upgraded, true, true),
        (ChangeKind::Cleared, true, true),
        (ChangeKind::Returned, true, true),
        (ChangeKind::Expired, false, false),
    ] {
        let w = with(|c| c.kind = kind);
        assert_eq!(w.deadlines.is_some(), clocks, "{kind:?}");
        assert_eq!(w.plan.is_some(), plan, "{kind:?}");
        assert!(w.plan.iter().flat_map(|p| &p.steps).all(|s| s.due.is_some() == clocks), "{kind:?}");
    }
}

#[test]
fn deadlines_and_steps_are_due_on_the_clock_of_the_level() {
    let pack = pack();
    for level in Level::ALL {
        let c = change(level);
        let w = respond(&pack, &c);
        let table = &pack.deadlines.levels[&level];
        let due = |allowed| Time::new(pack.calendar.due(c.level_since, allowed, table.clock));
        let deadlines = w.deadlines.expect("a raise and an upgrade start the clocks");
        assert_eq!(
            (deadlines.clock, deadlines.from, deadlines.sign_by, deadlines.first_report_by, deadlines.disposal_by),
            (table.clock, Time::new(c.level_since), due(table.sign), due(table.first_report), due(table.disposal)),
            "{level:?}"
        );
        for step in w.plan.expect("the plan has every level").steps {
            assert_eq!(step.due, Some(due(Allowed::Span(step.within))), "{level:?} {}", step.id);
        }
        let last = deadlines.reminders.iter().filter(|r| r.percent == 100).map(|r| (r.of, r.at));
        let mut expected = [
            (ReminderOf::Sign, deadlines.sign_by),
            (ReminderOf::FirstReport, deadlines.first_report_by),
            (ReminderOf::Disposal, deadlines.disposal_by),
        ];
        expected.sort_by_key(|(of, at)| (*at, *of));
        assert_eq!(last.collect::<Vec<_>>(), expected, "{level:?}");
        assert_eq!(deadlines.reminders.len(), 9, "{level:?}");
        assert!(deadlines.reminders.is_sorted_by_key(|r| r.at), "{level:?}");
    }
}

#[test]
fn working_time_skips_nights_holidays_and_weekends() {
    // Friday 8 May 2026; Saturday the 9th is a make-up workday, Sunday is not.
    for (level, hour, sign, first_report, half_of_sign) in [
        (Level::Blue, 9, "2026-05-09 17:30", "2026-05-12 17:30", "2026-05-09 09:00"),
        (Level::Yellow, 9, "2026-05-09 10:00", "2026-05-11 17:30", "2026-05-08 15:00"),
        (Level::Yellow, 20, "2026-05-11 09:00", "2026-05-11 17:30", "2026-05-09 14:00"),
        (Level::Orange, 20, "2026-05-08 22:30", "2026-05-09 20:30", "2026-05-08 21:30"),
        (Level::Red, 20, "2026-05-08 21:00", "2026-05-08 22:30", "2026-05-08 20:45"),
    ] {
        let mut c = change(level);
        c.level_since = at(hour, 30);
        let found = respond(&pack(), &c).deadlines.expect("deadlines");
        assert_eq!((found.sign_by.minute().as_str(), found.first_report_by.minute().as_str()), (sign, first_report));
        let half = found.reminders.iter().find(|r| r.of == ReminderOf::Sign && r.percent == 50).expect("a reminder");
        assert_eq!(half.at.minute(), half_of_sign, "{level:?}");
    }
}

#[test]
fn a_plan_names_the_lead_where_it_says_lead() {
    for (level, steps) in [
        (Level::Blue, "1 urban_management"),
        (Level::Orange, "1 urban_management, 2 fire_rescue with urban_management"),
        (Level::Red, "0 duty_office with urban_management, 1 urban_management"),
    ] {
        let step = |s: &DueStep| match s.with.as_slice() {
            [] => format!("{} {}", s.id, s.by),
            with => format!("{} {} with {}", s.id, s.by, with.join(" ")),
        };
        let plan = respond(&pack(), &change(level)).plan.expect("a plan");
        assert_eq!(plan.steps.iter().map(step).collect::<Vec<_>>().join(", "), steps, "{level:?}");
    }
}

#[test]
fn good_credit_means_off_site_first_where_no_life_is_at_risk() {
    for (indicator, level, class, expected) in [
        ("card_balance", Level::Blue, Some("A"), true),
        ("card_balance", Level::Yellow, Some("A"), true),
        ("card_balance", Level::Orange, Some("A"), false),
        ("card_balance", Level::Yellow, Some("B"), false),
        ("card_balance", Level::Yellow, None, false),
        ("gas_leak_lel", Level::Blue, Some("A"), false),
    ] {
        let w = with(|c| {
            c.indicator = indicator.into();
            c.level = level;
            c.subject.risk_class = class.map(str::to_owned);
        });
        assert_eq!(w.plan.map(|p| p.off_site_first), Some(expected), "{indicator} {level:?} {class:?}");
    }
}

#[test]
fn texts_come_from_the_rule_else_are_generated() {
    for (vary, zh, en) in [
        (
            (|_: &mut Change| {}) as fn(&mut Change),
            "测试餐馆可燃气体27.5%LEL，达橙色(二级)（限值25）",
            "测试餐馆: gas 27.5 %LEL, orange (II) (bound 25)",
        ),
        (
            |c| c.value = Some(0.1 + 0.2),
            "测试餐馆可燃气体0.3%LEL，达橙色(二级)（限值25）",
            "测试餐馆: gas 0.3 %LEL, orange (II) (bound 25)",
        ),
        (
            |c| c.value = None,
            "测试餐馆可燃气体—%LEL，达橙色(二级)（限值25）",
            "测试餐馆: gas — %LEL, orange (II) (bound 25)",
        ),
        (
            // The judged bound is not known: the rule's own stands, first the segment's.
            |c| {
                c.bound = None;
                c.level = Level::Yellow;
                c.segment = Some("kitchen".to_owned());
            },
            "测试餐馆可燃气体27.5%LEL，达黄色(三级)（限值20）",
            "测试餐馆: gas 27.5 %LEL, yellow (III) (bound 20)",
        ),
        (
            |c| c.kind = ChangeKind::Cleared,
            "测试餐馆（东港区）泄漏浓度的触发条件已全部消除，橙色(二级)预警待解除。",
            "测试餐馆 (Donggang District): all triggers of Gas leak are clear; the orange (II) warning is still to be lifted.",
        ),
        (
            |c| {
                c.kind = ChangeKind::Expired;
                c.level = Level::Blue;
            },
            "测试餐馆（东港区）泄漏浓度未再发生，蓝色(四级)预警自行结束。",
            "测试餐馆 (Donggang District): Gas leak did not recur; the blue (IV) warning has ended.",
        ),
        (
            |c| c.indicator = "card_balance".into(),
            "测试餐馆（东港区）预收超限27.5%LEL，达橙色(二级)（限值25%LEL）。",
            "测试餐馆 (Donggang District): card_balance 27.5 %LEL, orange (II) (bound 25 %LEL).",
        ),
        (
            |c| {
                c.indicator = "gas_silent".into();
                c.absent = true;
                c.value = None;
            },
            "测试餐馆（东港区）应有的数据没有收到（泄漏浓度），达橙色(二级)。",
            "测试餐馆 (Donggang District): data that is due has not arrived (Gas leak), orange (II).",
        ),
        (
            |c| {
                c.indicator = "gas_hours".into();
                c.level = Level::Yellow;
            },
            "测试餐馆在东港区超过1小时30分钟，10分钟，26.3333，厨房",
            "测试餐馆 in Donggang District for 1 h 30 min, 10 min, 26.3333",
        ),
    ] {
        let w = with(vary);
        assert_eq!((w.text.as_str(), w.text_en.as_str()), (zh, en));
        assert_eq!(w.text_error, None, "{zh}");
    }
}

#[test]
fn a_template_that_fails_costs_only_its_text() {
    for (indicator, reason) in [("gas_matter", "undefined"), ("gas_sector", "syntax error"), ("gas_hours", "undefined")]
    {
        let w = with(|c| {
            c.indicator = indicator.into();
            c.readings.clear();
        });
        assert!(w.text.starts_with("测试餐馆（东港区）泄漏浓度27.5%LEL，达橙色(二级)"), "{}", w.text);
        let error = w.text_error.expect("the reason is told");
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_warning_told_while_the_model_fails_says_so() {
    let w = with(|c| c.model_failing = true);
    assert!(w.text.ends_with("评分暂不采用，只按限值和信号判断。）"), "{}", w.text);
    assert!(w.text_en.ends_with("its scores are not used, only bounds and signals.)"), "{}", w.text_en);
    assert_eq!(serde_json::to_value(&w).unwrap()["model_failing"], true);
    assert_eq!(serde_json::to_value(with(|_| {})).unwrap().get("model_failing"), None);
}

#[test]
fn an_exercise_says_so_first() {
    for (mode, headline) in [
        (Mode::Actual, "预警升为橙色(二级)：测试餐馆，泄漏浓度"),
        (Mode::Exercise, "【演练】预警升为橙色(二级)：测试餐馆，泄漏浓度"),
        (Mode::Test, "【测试】预警升为橙色(二级)：测试餐馆，泄漏浓度"),
    ] {
        let w = Responder::new(&pack()).with_mode(mode).respond(&change(Level::Orange));
        assert_eq!((w.status, w.headline.as_str()), (mode, headline));
    }
}

#[test]
fn the_basis_is_the_one_in_force_when_it_occurred() {
    for (year, number) in [(2018, "GB 50493-2009"), (2026, "GB/T 50493-2019")] {
        let w = with(|c| c.at -= (2026 - year) * 365 * 86_400_000);
        let numbers: Vec<_> = w.indicator.basis.iter().filter_map(|b| b.number.as_deref()).collect();
        assert_eq!(numbers, [number], "{year}");
    }
}

#[test]
fn no_document_carries_persons_or_free_text() {
    let w = with(|c| {
        c.state.push(("reporter_hash".to_owned(), "secret".to_owned()));
        c.evidence = vec![reference(
            Kind::Supervision,
            "urban_management",
            "s1",
            json!({ "reporter_hash": "secret", "content": "secret", "staff": "secret", "legal_rep_hash": "secret",
                    "caller": "secret", "doc_no": "secret", "topic": "gas", "category": "gas_leak" }),
        )];
    });
    let text = serde_json::to_string(&w).expect("a document");
    assert!(!text.contains("secret"), "{text}");
    let kept: Vec<_> = w.evidence[0].values.iter().flatten().map(|(column, _)| column.as_str()).collect();
    assert_eq!(kept, ["category", "topic"]);
}

#[test]
fn a_change_refers_to_all_earlier_ones() {
    for (number, msg_type, references) in [
        (1, MsgType::Alert, vec![]),
        (2, MsgType::Update, vec!["w7k2p-3m9q.1"]),
        (3, MsgType::Update, vec!["w7k2p-3m9q.1", "w7k2p-3m9q.2"]),
    ] {
        let w = with(|c| c.number = number);
        assert_eq!((w.msg_type, w.ce_id), (msg_type, format!("w7k2p-3m9q.{number}")));
        assert_eq!(w.references, references);
    }
}

fn validator() -> jsonschema::Validator {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft7)
        .should_validate_formats(true)
        .build(&warning_schema())
        .expect("the schema is a schema")
}

#[test]
fn every_document_fits_its_schema_and_reads_back() {
    let validator = validator();
    let responder = Responder::new(&pack());
    for indicator in ["gas_leak_lel", "gas_matter", "gas_sector", "gas_silent", "orphan", "not_in_the_pack"] {
        for level in Level::ALL {
            let mut c = change(level);
            c.indicator = indicator.into();
            let w = responder.respond(&c);
            let document = serde_json::to_value(&w).expect("a document");
            if let Err(error) = validator.validate(&document) {
                panic!("{indicator} {level:?}: {} {error}", error.instance_path());
            }
            assert_eq!(serde_json::from_value::<Warning>(document).expect("reads back"), w);
        }
    }
}

#[test]
fn the_schema_refuses_what_is_no_warning() {
    let validator = validator();
    let good = serde_json::to_value(respond(&pack(), &change(Level::Red))).expect("a document");
    for (field, wrong) in [
        ("level", json!("purple")),
        ("level_no", json!(5)),
        ("occurred", json!("2026-05-08T09:30:00Z")),
        ("occurred", json!("yesterday")),
        ("scope", json!("public")),
        ("departments", json!({})),
        ("evidence", json!([{}])),
        ("change", json!(-1)),
    ] {
        let mut bad = good.clone();
        bad[field] = wrong.clone();
        assert!(!validator.is_valid(&bad), "{field} {wrong}");
    }
    let schema = warning_schema().to_string();
    for described in ["预警编号", "牵头", "内部提示", "一句话说明"] {
        assert!(schema.contains(described), "{described}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_is_too_odd_for_a_document(c in any_change()) {
        let w = respond(&pack(), &c);
        prop_assert!(!w.headline.is_empty() && !w.headline_en.is_empty());
        let document = serde_json::to_value(&w).expect("a document");
        prop_assert!(validator().is_valid(&document), "{document}");
        prop_assert!(w == respond(&pack(), &c), "the same change gives the same document");
    }
}

#[test]
fn a_whole_document() {
    let mut document = serde_json::to_value(respond(&pack(), &change(Level::Yellow))).expect("a document");
    // Times due stand in a test of their own.
    for times in ["deadlines", "plan"] {
        document.as_object_mut().expect("an object").remove(times);
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).expect("JSON"), @r#"
    {
      "id": "w7k2p-3m9q",
      "change": 2,
      "ce_id": "w7k2p-3m9q.2",
      "msg_type": "update",
      "references": [
        "w7k2p-3m9q.1"
      ],
      "status": "actual",
      "scope": "restricted",
      "note": "内部提示",
      "kind": "upgraded",
      "level": "yellow",
      "level_no": 2,
      "level_name": "黄色(三级)",
      "level_name_en": "yellow (III)",
      "was": "blue",
      "headline": "预警升为黄色(三级)：测试餐馆，泄漏浓度",
      "headline_en": "Warning upgraded to yellow (III): 测试餐馆, Gas leak",
      "text": "测试餐馆可燃气体27.5%LEL，达黄色(三级)（限值25）",
      "text_en": "测试餐馆: gas 27.5 %LEL, yellow (III) (bound 25)",
      "industry": {
        "id": "gas",
        "name": "燃气",
        "name_en": "Gas"
      },
      "indicator": {
        "id": "gas_leak_lel",
        "name": "泄漏浓度",
        "name_en": "Gas leak",
        "unit": "%LEL",
        "basis": [
          {
            "name": "石油化工可燃气体和有毒气体检测报警设计标准",
            "number": "GB/T 50493-2019",
            "status": "S"
          }
        ]
      },
      "pack": {
        "version": 7,
        "hash": "abababababababababababababababababababababababababababababababab"
      },
      "subject": {
        "object_id": "equip:371102-0007",
        "entity_id": "91371102MA0000015N",
        "name": "测试餐馆",
        "type": "restaurant",
        "region": {
          "code": "371102",
          "name": "东港区",
          "name_en": "Donggang District"
        },
        "street": "371102001",
        "location": "厨房",
        "sensor": "s1",
        "tags": [
          "restaurant"
        ],
        "risk_class": "B"
      },
      "space": "object",
      "key": "equip:371102-0007",
      "state": [
        {
          "column": "sensor_id",
          "value": "s1"
        }
      ],
      "value": 27.5,
      "bound": 25.0,
      "readings": [
        {
          "name": "mean",
          "value": 26.333333,
          "bound": null
        }
      ],
      "window": {
        "from": "2026-05-08T09:20:00+08:00",
        "to": "2026-05-08T09:30:00+08:00"
      },
      "absent": false,
      "partial": false,
      "evidence": [
        {
          "kind": "iot",
          "source_system": "scada",
          "source_dept": "urban_management",
          "record_id": "r1",
          "revision": 1,
          "occurred_at": "2026-05-08T09:30:00+08:00",
          "summary": "2026-05-08 市城市管理局物联记录",
          "summary_en": "2026-05-08 Urban Management, sensor record",
          "values": {
            "status": "good",
            "value": 27.5
          }
        }
      ],
      "evidence_total": 1,
      "log": {
        "partition": 3,
        "first": 10,
        "last": 12
      },
      "cause": "record scada r1 1",
      "occurred": "2026-05-08T09:30:00+08:00",
      "found": "2026-05-08T09:31:00+08:00",
      "departments": {
        "lead": {
          "id": "urban_management",
          "branch": "urban_management@371102",
          "name": "市城市管理局",
          "name_en": "Urban Management",
          "step": 2,
          "why": "谁主管谁牵头：燃气行业主管部门",
          "why_en": "owner of the industry Gas"
        },
        "assist": [
          {
            "id": "housing",
            "name": "市住房城乡建设局",
            "name_en": "Housing",
            "why": "规则指定（黄色起）",
            "why_en": "named by the rule from yellow on"
          }
        ]
      },
      "told": [
        {
          "dept": "urban_management",
          "region": "371100",
          "role": "lead"
        },
        {
          "dept": "urban_management",
          "region": "371102",
          "role": "lead"
        },
        {
          "dept": "housing",
          "region": "371100",
          "role": "assist"
        },
        {
          "dept": "housing",
          "region": "371102",
          "role": "assist"
        }
      ],
      "joint_assessment": {
        "required": false,
        "on_request": true
      }
    }
    "#);
}
