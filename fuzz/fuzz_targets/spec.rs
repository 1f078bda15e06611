//! Any text as a pruning specification: as a string, as TOML and as JSON.
#![no_main]
use libfuzzer_sys::fuzz_target;
use secateur::prune::PruningSpec;

fuzz_target!(|text: &str| {
    if let Ok(spec) = text.parse::<PruningSpec>() {
        spec.validate().ok();
        assert_eq!(printed(&spec), spec);
    }
    let files = [toml::from_str(text).ok(), serde_json::from_str(text).ok()];
    for mut spec in files.into_iter().flatten() {
        let spec: &mut PruningSpec = &mut spec;
        if spec.validate().is_err() {
            continue;
        }
        assert_eq!(serde_json::from_str::<PruningSpec>(&json(spec)).unwrap(), *spec);
        spec.do_not_prune.retain(|part| !part.is_empty());
        assert_eq!(printed(spec), *spec);
    }
});

/// Printed and read again.
fn printed(spec: &PruningSpec) -> PruningSpec {
    spec.to_string().parse().unwrap_or_else(|e| panic!("`{spec}`: {e}"))
}

fn json(spec: &PruningSpec) -> String {
    serde_json::to_string(spec).unwrap()
}
