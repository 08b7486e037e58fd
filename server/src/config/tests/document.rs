//! COMPATIBILITY.md holds the table of all keys.

use std::path::Path;

use crate::config::doc_table::{BEGIN, END, render, status};
use crate::config::keys;

#[test]
fn the_table_of_the_document_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../COMPATIBILITY.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("COMPATIBILITY.md has the first marker");
    let (table, after) = rest.split_once(END).expect("COMPATIBILITY.md has the second marker");
    let want = render();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}\n{want}\n{END}{after}")).unwrap();
        return;
    }
    assert!(
        table.trim() == want.trim(),
        "the table of keys in COMPATIBILITY.md is old; write it anew with UPDATE_DOCS=1 cargo test -p rookeeper config"
    );
    for key in keys::all() {
        let row = table.lines().find(|line| line.starts_with(&format!("| `{}`", key.name)));
        let row = row.unwrap_or_else(|| panic!("{} has no row", key.name));
        assert!(row.ends_with(&format!("| {} |", status(key.status).replace('|', "\\|"))), "{row}");
    }
}
