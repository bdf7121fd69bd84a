//! `link.put` and `link.get`.

use grape_tests::grape::{Kind, is_id};
use grape_tests::network::{Network, Shape};
use grape_tests::programs;
use rstest::rstest;
use serde_json::{Value, json};

#[rstest]
#[case::npm([Kind::Npm, Kind::Npm])]
#[case::ours([Kind::Ours, Kind::Ours])]
#[case::ours_to_npms([Kind::Ours, Kind::Npm])]
#[case::npms_to_ours([Kind::Npm, Kind::Ours])]
#[tokio::test]
async fn a_value_of_one_link_is_found_by_another(#[case] kinds: [Kind; 2]) {
    let network = Network::start(Shape::Mesh, &kinds).await.unwrap();
    for (put, get) in [(0, 1), (0, 0)] {
        let [put, get] = [put, get].map(|own: usize| network.grapes[own].url());
        let argument = json!({ "put": put, "get": get });
        let mut program = programs::node("the links", "put_get.js", &argument).unwrap();
        let mut got = Vec::new();
        for kind in ["immutable", "mutable", "salted"] {
            let stored = programs::event(&mut program, "put").await.unwrap();
            assert_eq!((&stored["kind"], &stored["error"]), (&json!(kind), &Value::Null));
            assert!(stored["hash"].as_str().is_some_and(is_id), "{stored}");
            got.push(programs::event(&mut program, "got").await.unwrap());
        }
        for answer in &got {
            assert_eq!(answer["error"], Value::Null);
            for (field, value) in answer["put"].as_object().unwrap() {
                // npm's Grape leaves out the salt of a copy of its own.
                let same = answer["found"][field] == *value;
                assert!(same || field == "salt", "{field} of {answer}");
            }
        }
    }
}
