//! Settings of single tensors, and scores of one's own: typed in Rust, by text in files.
use secateur::gpu::{PlanBuilder, Slot};
use secateur::prune::{BlockDims, Group, PruningSpec, Ranking, Score, Scoring, TensorTarget};

use super::spec;

/// In Rust, as a text and as a table an entry is the same; a quoted one may have commas and
/// brackets.
#[test]
fn entries_of_single_tensors_are_typed() {
    let expected = PruningSpec::default()
        .weight_sparsity_map(vec![("fc[12]{1,2}", 0.9).into(), TensorTarget::new("a:b", 0.5)])
        .groups(vec![("ends", "fc1|fc3").into(), Group::new("ends", "fc\"2")])
        .block_dims_map(vec![("(fc,x)", [4, -1]).into(), BlockDims::new("y", [1, 2])])
        .do_not_prune(vec!["a,b".into(), " c".into()]);
    let text = "do_not_prune=[\"a,b\",\" c\"],block_dims_map=[\"(fc,x):4x-1\",y:1x2],\
                weight_sparsity_map=[\"fc[12]{1,2}:0.9\",a:b:0.5],groups=[ends:fc1|fc3,ends:fc\"2]";
    assert_eq!((spec(text), expected.to_string()), (expected.clone(), text.into()));
    let quoted = "groups=[ \"ends:fc1|fc3\" , \"ends:fc\"\"2\" ]";
    assert_eq!(spec(quoted).groups, expected.groups);
    expected.validate().unwrap();

    let table = "do_not_prune = ['a,b', ' c']
                 weight_sparsity_map = [{ tensors = 'fc[12]{1,2}', sparsity = 0.9 }, 'a:b:0.5', '']
                 groups = [{ name = 'ends', tensors = 'fc1|fc3' }, 'ends: fc\"2']
                 [[block_dims_map]]
                 tensors = '(fc,x)'
                 height = 4
                 width = -1
                 [[block_dims_map]]
                 tensors = 'y'
                 height = 1
                 width = 2";
    assert_eq!(toml::from_str::<PruningSpec>(table).expect("parses"), expected);
    let written = toml::to_string(&expected).expect("writes");
    assert!(written.contains("\"ends:fc1|fc3\""), "{written}");
    assert_eq!(toml::from_str::<PruningSpec>(&written).expect("parses"), expected);
    for (file, part) in [
        ("weight_sparsity_map = ['fc1']", "`weight_sparsity_map`: fc1: must be regex:target"),
        ("groups = [3]", "expected a text or a table"),
        ("groups = [{ name = 'a' }]", "missing field `tensors`"),
        ("groups = [{ name = 'a', tensors = 'b', more = 1 }]", "unknown field `more`"),
        ("score = 'mine'", "Score::custom"),
    ] {
        let error = toml::from_str::<PruningSpec>(file).expect_err(file).to_string();
        assert!(error.contains(part), "{file}: {error}");
    }
}

#[derive(Debug)]
struct Named(&'static str);

impl Scoring for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn push_score(&self, _: &mut PlanBuilder, ranking: &Ranking) -> secateur::Result<Slot> {
        Ok(ranking.tensor.weights())
    }
}

#[test]
fn a_score_of_ones_own_goes_by_its_name() {
    let own = || PruningSpec::default().score(Score::custom(Named("mine")));
    assert_eq!((own(), own().to_string()), (own(), "score=mine".into()));
    assert_ne!(own(), PruningSpec::default());
    assert_eq!(serde_json::to_value(own()).expect("writes")["score"], "mine");
    own().validate().expect("a plain name");
    for name in ["", "a,b", "weight", "wanda", " mine"] {
        let spec = PruningSpec::default().score(Score::custom(Named(name)));
        let message = spec.validate().expect_err(name).to_string();
        assert!(message.starts_with(&format!("`score`: {name}: must be no built-in")), "{message}");
    }
    for score in Score::built_in() {
        assert_eq!(score.name().parse(), Ok(score));
    }
}
