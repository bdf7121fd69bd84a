//! `docs/values.md`, and the table in the chart's README: the values of the chart, from values.yaml, and
//! names that other charts have, from the table that the chart reads.

use grape_tests::chart;

use super::{compare, compare_with};

const HEAD: &str = "\
# Values of the chart

The values of the chart [grape-operator](../charts/grape-operator/README.md), with their defaults. A test writes this
page from `values.yaml`, and fails when it is stale. The chart refuses every name that is not in this table.

| value | default | |
|---|---|---|
";

const OTHER_NAMES: &str = "
## Names from other charts

If you know the charts of Bitnami, Linkerd or CloudNativePG, you may look for these names. The chart refuses each of
them, and names the value to use instead.

| name | in charts of | use instead |
|---|---|---|
";

#[test]
fn the_page_has_every_value_and_every_name_of_other_charts() {
    let mut page = HEAD.to_owned();
    for row in chart::rows().unwrap() {
        page += &format!("{row}\n");
    }
    page += OTHER_NAMES;
    for name in chart::other_names().unwrap() {
        let instead = name.instead.replace(", ", "`, `").replace(" or ", "` or `");
        let instead = instead.replace(" and ", "` and `");
        page += &format!("| `{}` | {} | `{instead}` |\n", name.name, name.charts);
    }
    assert!(page.lines().count() > 130, "{page}");
    compare("values.md", &page);
}

/// The table of values is the only one whose rows begin with code, and the last of the page.
#[test]
fn the_readme_of_the_chart_has_every_value() {
    let readme = chart::file("README.md").unwrap();
    let (before, rows) = readme.split_once("\n| `").expect("a table of values");
    let after = rows.rsplit_once(" |\n").expect("its last row").1;
    let wanted = format!("{before}\n{}\n{after}", chart::rows().unwrap().join("\n"));
    compare_with(&["..", "charts", "grape-operator", "README.md"], &wanted);
}
