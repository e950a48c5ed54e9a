//! Reports.

use super::csv::cell;

#[test]
fn cells_are_no_formulas() {
    for (value, expect) in [
        ("plain", "plain"),
        ("", ""),
        ("a,b", "\"a,b\""),
        ("say \"x\"", "\"say \"\"x\"\"\""),
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2,3", "\"'-2,3\""),
        ("a\nb", "\"a\nb\""),
    ] {
        assert_eq!(cell(value), expect, "{value:?}");
    }
}
