//! Options that are declared once: set by name, written to files, and refused.
use secateur::data::OpenOptions;
use secateur::prune::PruningSpec;
use secateur::settings::{Settings, Share, Value, meant};
use secateur::train::Recipe;

#[test]
fn options_are_set_by_name_and_text() {
    let mut options = OpenOptions::default();
    for (name, text) in [
        ("length", "12"),
        ("targets", "a,b"),
        ("multi_label", "true"),
        ("size", "8x9"),
        ("test", "0.5"),
    ] {
        options.set(name, text).unwrap();
    }
    let built = OpenOptions::default().length(Some(12)).targets(vec!["a".into(), "b".into()]);
    let built = built.multi_label(true).size(Some([8, 9])).test(Some("0.5".into()));
    assert_eq!(options, built);
    assert_eq!(options.changed(), ["length", "targets", "multi_label", "test", "size"]);
    assert_eq!(
        toml::from_str::<OpenOptions>(&toml::to_string(&options).unwrap()).unwrap(),
        options
    );
    let refused = |name: &str, text: &str| options.clone().set(name, text).unwrap_err().to_string();
    assert_eq!(refused("size", "8"), "`size`: `8`: must be HEIGHTxWIDTH, like 32x32");
    assert!(refused("lenght", "8").contains("is not one of length, label"));
    assert!(refused("lenght", "8").contains("did you mean `length`?"));
    assert!(!refused("colour", "8").contains("did you mean"));
}

#[test]
fn what_is_no_field_changes_the_recipe() {
    let mut recipe = Recipe::default();
    for (name, text) in [
        ("lr", "0.5"),
        ("optimizer", "momentum"),
        ("clip_norm", "2"),
        ("pruning", "target_sparsity=0.25"),
        ("model", "mlp:7"),
    ] {
        recipe.set(name, text).unwrap();
    }
    assert_eq!(recipe.optimizer, secateur::Optimizer::named("momentum", 0.5).unwrap());
    assert_eq!(recipe.clip.global_norm, Some(2.0));
    assert_eq!(recipe.pruning.as_ref().map(|p| p.target_sparsity), Some(0.25));
    assert_eq!(recipe.model, secateur::Model::mlp(&[7]));
    recipe.set("pruning", "none").unwrap();
    assert_eq!(recipe.pruning, None);
    assert_eq!(toml::from_str::<Recipe>(&toml::to_string(&recipe).unwrap()).unwrap(), recipe);
    let refused = |name: &str, text: &str| recipe.clone().set(name, text).unwrap_err().to_string();
    assert!(refused("optimizer", "adagad").contains("adagrad"));
    assert!(refused("schedule", "x").contains("can be set in a recipe file only"));
    // A run that is continued may go on for longer, and not by another rate.
    let keeps = |name| Recipe::LIST.iter().find(|s| s.name == name).unwrap().keeps_run;
    assert!(keeps("steps") && keeps("recompute") && !keeps("lr") && !keeps("batch"));
}

#[test]
fn shares_are_fractions_or_percent() {
    let read = |text: &str| {
        let mut share = Share::default();
        share.set(text).map(|()| share.0)
    };
    assert_eq!((read("0.5"), read("50%"), read(" 100 % ")), (Ok(0.5), Ok(0.5), Ok(1.0)));
    for wrong in ["-0.1", "1.5", "101%", "half", "", "NaN", "%"] {
        assert!(read(wrong).unwrap_err().contains("from 0 to 1, or from 0% to 100%"), "{wrong}");
    }
}

#[test]
fn recipes_say_what_differs_and_whether_a_run_stays_the_same() {
    let first = Recipe::default();
    let said = |other: &Recipe| {
        let all = first.differences(other);
        all.iter().map(|d| (d.to_string(), d.keeps_run)).collect::<Vec<_>>()
    };
    assert_eq!(said(&first), []);
    let mut other = first.clone().steps(9).save_steps(Some(3)).batch(8);
    other.set("lr", "0.0005").unwrap();
    other.data_options.label = Some("kind".into());
    let want = [
        ("batch 64 -> 8", false),
        ("data_options.label none -> kind", false),
        ("optimizer.lr 0.002 -> 0.0005", false),
        ("save_steps none -> 3", true),
        ("steps 1800 -> 9", true),
    ];
    assert_eq!(said(&other), want.map(|(text, keeps)| (text.to_owned(), keeps)));
    let none = said(&first.clone().pruning(None));
    assert!(matches!(&none[..], [(text, false)] if text.ends_with(" -> none")), "{none:?}");
}

/// A file to begin with: every key is in it, once, and what it says is the recipe.
#[test]
fn a_commented_recipe_is_the_recipe() {
    let length = OpenOptions::default().length(Some(12));
    let own = Recipe::default().pruning(None).data_options(length).save_secs(Some(2.5));
    for recipe in [Recipe::default(), own] {
        let text = recipe.commented();
        assert_eq!(toml::from_str::<Recipe>(&text).unwrap(), recipe, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        let recipes = Recipe::LIST.iter().filter(|s| s.is_field).map(|s| s.name);
        let options = OpenOptions::LIST.iter().filter(|s| s.is_field).map(|s| s.name);
        let pruning = PruningSpec::HELP.iter().map(|(name, _)| *name);
        for name in recipes.chain(options).chain(pruning) {
            let is_key = |line: &&str| {
                let line = line.strip_prefix("# ").unwrap_or(line);
                line.starts_with(&format!("{name} = ")) || line == format!("[{name}]")
            };
            // Some keys of tables are called as those of another.
            assert!(text.lines().any(|line| is_key(&line)), "no {name} in {text}");
        }
        assert!(text.contains("# Rows in a batch; of several ranks"), "{text}");
        assert!(text.contains("\nlr = 0.002\n"), "digits as people gave them: {text}");
        assert!(text.contains("# Least number of steps from one mask update"), "{text}");
    }
    assert_eq!(
        Recipe::LIST.iter().filter(|s| !s.is_field).count(),
        4,
        "lr, clip_norm, sparsity, penalty"
    );
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_nearest_one() {
    let message = "unknown field `bach`, expected one of `data`, `batch`, `steps`";
    assert_eq!(meant(message), Some("batch"));
    assert_eq!(meant("unknown variant `sgdd`, expected one of `sgd`, `adam`"), Some("sgd"));
    assert_eq!(meant("unknown field `colour`, expected one of `data`, `batch`"), None);
    assert_eq!(meant("missing field `data`"), None);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.toml");
    let right = Recipe::default().commented();
    let wrong = |from: &str, to: &str| {
        std::fs::write(&path, right.replace(from, to)).unwrap();
        Recipe::read(&path).unwrap_err().to_string()
    };
    let line = right.lines().position(|line| line == "batch = 64").unwrap() + 1;
    let said = wrong("\nbatch = 64", "\nbach = 64");
    assert!(said.contains(&format!("line {line}")), "{said}");
    assert!(said.ends_with("; did you mean `batch`?"), "{said}");
    let said = wrong("\ntarget_sparsity", "\ntarget_sparsty");
    assert!(said.ends_with("; did you mean `target_sparsity`?"), "{said}");
}

#[test]
fn fingerprints_tell_results_apart() {
    let recipe = Recipe::default();
    let fingerprint = recipe.fingerprint();
    assert_eq!(fingerprint.len(), 16);
    let same = recipe.clone().save_secs(Some(9.0)).eval_steps(Some(3)).recompute(1);
    assert_eq!(same.fingerprint(), fingerprint);
    for other in [
        recipe.clone().steps(9),
        recipe.clone().seed(9),
        recipe.clone().batch(9),
        recipe.clone().pruning(None),
        recipe.data("csv:x".into()),
    ] {
        assert_ne!(other.fingerprint(), fingerprint, "{other:?}");
    }
}
