//! What the weights take on the disk, by format.
use crate::report::chart::{Bar, Bars};
use crate::report::html::Html;
use crate::report::logdir::Run;
use crate::report::number::{Unit, percent, thousands};

pub(super) fn fill(html: &mut Html, run: &Run) {
    let Some(tensors) = &run.tensors else {
        return html.p("note", "There is no checkpoint that could be read.");
    };
    let dense = tensors.sizes.first().map_or(0, |size| size.1);
    let bar = |(name, bytes): &(&str, u64)| Bar {
        name: (*name).to_owned(),
        value: *bytes as f64,
        of: Some(dense as f64),
    };
    html.charts("", |html| {
        Bars {
            title: "Weights as a file".to_owned(),
            note: "what secateur export --format writes, before the dense file".to_owned(),
            what: ["bytes", "dense"].map(str::to_owned),
            unit: Unit::Bytes,
            bars: tensors.sizes.iter().map(bar).collect(),
            table: false,
        }
        .draw(html);
        let row = |(name, bytes): &(&str, u64)| {
            let share = *bytes as f64 / dense.max(1) as f64;
            vec![(*name).to_owned(), thousands(*bytes), percent(share)]
        };
        let rows: Vec<_> = tensors.sizes.iter().map(row).collect();
        html.table("Bytes of all weights", &["format", "bytes", "of dense"], &rows);
    });
    let row = |(name, bytes): &(String, u64)| {
        vec![name.clone(), thousands(*bytes), Unit::Bytes.full(*bytes as f64)]
    };
    let rows: Vec<_> = tensors.files.iter().map(row).collect();
    let folder = tensors.folder.file_name().unwrap_or_default().to_string_lossy();
    html.table(&format!("Files of {folder}"), &["file", "bytes", "size"], &rows);
}
