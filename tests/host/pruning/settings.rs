//! The pruning settings: string form, files, ranges.
use proptest::prelude::*;
use secateur::kernels::Pruned;
use secateur::prune::{
    BlockDims, BlockPooling, Budget, Group, Pattern, PruningSpec, Regrow, Schedule, Scope, Score,
    TensorPattern, TensorTarget, Threshold,
};

use super::spec;

fn parse_error(text: &str) -> String {
    text.parse::<PruningSpec>().expect_err(text).to_string()
}

#[test]
fn upstreams_string_parses() {
    let parsed = spec(
        " name = test, threshold_decay=0.5 ,pruning_frequency=7,do_not_prune=[ conv1 ,conv2],\
         end_pruning_step=-1,use_tpu=1,initial_sparsity=0.2,sparsity_function_exponent=25e-1,\
         target_sparsity=1,block_pooling_function=MAX,threshold=histogram,pruned=freeze",
    );
    let expected = PruningSpec::to(1.0)
        .name("test".into())
        .threshold_decay(0.5)
        .pruning_frequency(7)
        .do_not_prune(vec!["conv1".into(), "conv2".into()])
        .use_tpu(true)
        .initial_sparsity(0.2)
        .sparsity_function_exponent(2.5)
        .block_pooling_function(BlockPooling::Max)
        .threshold(Threshold::Histogram)
        .pruned(Pruned::Freeze);
    assert_eq!(parsed, expected);
    assert_eq!(spec(""), PruningSpec::default());
    assert_eq!(spec("  "), PruningSpec::default());
    assert_eq!(spec("do_not_prune=[]"), PruningSpec::default());
    assert_eq!(PruningSpec::default().to_string(), "");
    assert_eq!(spec("prune_option=weight"), PruningSpec::default());
    assert_eq!(spec("prune_option=saliency").to_string(), "score=saliency");
    let order = spec("prune_option=first_order_gradient,gradient_decay_rate=0.5");
    assert_eq!((order.score, order.gradient_decay_rate), (Score::FirstOrderGradient, 0.5));
    assert_eq!(
        spec("pruned=revive,target_sparsity=0.9").to_string(),
        "target_sparsity=0.9,pruned=revive"
    );
}

#[test]
fn default_is_upstreams() {
    let upstream = "name=model_pruning,begin_pruning_step=0,end_pruning_step=-1,do_not_prune=[],\
                    threshold_decay=0.9,pruning_frequency=10,final_update=true,nbins=256,\
                    block_height=1,block_width=1,block_pooling_function=avg,initial_sparsity=0,\
                    target_sparsity=0.5,sparsity_function_begin_step=0,\
                    sparsity_function_end_step=100,sparsity_function_exponent=3,use_tpu=false,\
                    threshold=exact,pruned=zero,penalty=0.01,schedule=polynomial,weight_sparsity_map=[],\
                    budget=uniform,scope=layer,groups=[],keep_units=true,\
                    regrow=none,regrow_fraction=0.3,block_dims_map=[],\
                    pattern=element,score=magnitude,gradient_decay_rate=0.99";
    assert_eq!(spec(upstream), PruningSpec::default());
    PruningSpec::default().validate().expect("the defaults are valid");
    let json = serde_json::to_value(PruningSpec::default()).expect("serialises");
    let mut fields: Vec<_> = json.as_object().expect("object").keys().map(String::as_str).collect();
    let mut in_string: Vec<_> =
        upstream.split(',').filter_map(|entry| Some(entry.split_once('=')?.0)).collect();
    fields.sort_unstable();
    in_string.sort_unstable();
    assert_eq!(fields, in_string, "the string form has every field");
    let optional = "first_layer_sparsity=0.5,last_layer_sparsity=0,target_parameters=7,\
                    target_flops=8";
    let parsed = spec(optional);
    assert_eq!((parsed.first_layer_sparsity, parsed.last_layer_sparsity), (Some(0.5), Some(0.0)));
    assert_eq!((parsed.target_parameters, parsed.target_flops), (Some(7), Some(8)));
    assert_eq!(parsed.to_string(), optional);
    assert_eq!(spec("target_flops=none,first_layer_sparsity=none"), PruningSpec::default());
}

#[test]
fn bad_strings_say_what_and_where() {
    let cases: [(&str, &[&str]); 27] = [
        ("nbins=4,target_sparsty=0.9", &["`pruning`", "`target_sparsty`", "`target_sparsity`?"]),
        ("pruning_freq=3", &["did you mean `pruning_frequency`?"]),
        ("colour=3", &["`colour`; known are name, begin_pruning_step,"]),
        ("nbins=4, nbins=5", &["`nbins`", "second time at character 9"]),
        ("nbins=4,nbins", &["entry `nbins` at character 9", "name=value"]),
        ("nbins=4,,use_tpu=1", &["entry `` at character 9"]),
        ("do_not_prune=[a,b", &["opened at character 14", "never closed"]),
        ("do_not_prune=a]", &["stray `]` at character 15"]),
        ("do_not_prune=[[a]", &["stray `[` at character 15"]),
        ("do_not_prune=fc3", &["`do_not_prune`: fc3", "one list in brackets"]),
        ("do_not_prune=[a][b]", &["one list in brackets"]),
        ("name=[a]", &["`name`: [a]", "not a list"]),
        ("nbins=1.5", &["`nbins`: 1.5", "whole number"]),
        ("begin_pruning_step=-1", &["`begin_pruning_step`: -1", "whole number from 0 to"]),
        ("pruning_frequency=1e3", &["`pruning_frequency`: 1e3"]),
        ("target_sparsity=nan", &["`target_sparsity`: nan", "finite"]),
        ("use_tpu=yes", &["`use_tpu`: yes", "true, false, 1 or 0"]),
        ("block_dims_map=[fc2:1x1,fc1]", &["`block_dims_map`: fc1: must be regex:HxW"]),
        ("block_dims_map=[fc1:4]", &["`block_dims_map`: fc1:4: must be regex:HxW"]),
        ("weight_sparsity_map=[fc1]", &["`weight_sparsity_map`: fc1: must be regex:target"]),
        ("weight_sparsity_map=[\"a{1,2}:x\"]", &["`weight_sparsity_map`: a{1,2}:x: must be"]),
        ("groups=[fc1]", &["`groups`: fc1: must be name:regex"]),
        ("nbins=4,groups=[\"a:b]", &["quote opened at character 17 is never closed"]),
        ("groups=[\"a:b\" c]", &["`groups`: \"a:b\"c: must be a comma behind the quote"]),
        ("score=mine", &["`score`: mine: unknown score", "magnitude, fisher", "Score::custom"]),
        ("score=Magnitude", &["unknown score `Magnitude`"]),
        ("groups=[a:fc[12]]", &["stray `[` at character 13"]),
    ];
    for (text, parts) in cases {
        let message = parse_error(text);
        for part in parts {
            assert!(message.contains(part), "{text}: {message} lacks {part}");
        }
    }
    let message = parse_error("pattern=2-4");
    assert!(message.contains("must be one of element, N:M like 2:4, N:MxV like"), "{message}");
    let message = parse_error("threshold=fuzzy");
    assert!(message.contains("fuzzy") && message.contains("`exact` or `histogram`"), "{message}");
}

#[test]
fn validation_names_field_value_and_range() {
    let cases = [
        ("name=", "", "non-empty"),
        ("end_pruning_step=-2", "-2", "-1 or at least begin_pruning_step (0)"),
        ("end_pruning_step=4,begin_pruning_step=5", "4", "at least begin_pruning_step (5)"),
        ("threshold_decay=1", "1", "at least 0 and below 1"),
        ("threshold_decay=-0.1", "-0.1", "at least 0 and below 1"),
        ("pruning_frequency=0", "0", "at least 1"),
        ("nbins=1", "1", "in 2 to 65536"),
        ("block_height=0", "0", "-1 or at least 1"),
        ("block_width=-2", "-2", "-1 or at least 1"),
        ("initial_sparsity=-0.5", "-0.5", "in 0 to 1"),
        ("target_sparsity=1.5", "1.5", "in 0 to 1"),
        ("sparsity_function_begin_step=100", "100", "below sparsity_function_end_step (100)"),
        ("sparsity_function_exponent=0", "0", "finite and above 0"),
        ("block_dims_map=[fc1:0x4]", "fc1:0x4", "each -1 or at least 1"),
        ("pattern=4:2", "4:2", "N at least 1 and below M"),
        ("pattern=1:33", "1:33", "M at most 32"),
        ("pattern=8:33x32", "8:33x32", "M at most 32"),
        ("pattern=8:32x0", "8:32x0", "V must be 1 to 1024"),
        ("pattern=8:32x1025", "8:32x1025", "V must be 1 to 1024"),
        ("target_sparsity=0.5,pattern=8:32x32", "0.5", "ends at 0.75"),
        ("pattern=2:4,block_height=2", "2:4", "choose one"),
        ("pattern=channel,block_width=2", "channel", "choose one"),
        ("pattern=2:4,target_flops=9", "2:4", "leave out the target"),
        ("pattern=2:4,scope=global", "2:4", "scope=layer"),
        ("target_sparsity=0.6,pattern=2:4", "0.6", "ends at 0.5"),
        ("first_layer_sparsity=1.5", "1.5", "in 0 to 1"),
        ("last_layer_sparsity=-1", "-1", "in 0 to 1"),
        ("weight_sparsity_map=[fc1:1.5]", "fc1:1.5", "the target in 0 to 1"),
        ("weight_sparsity_map=[fc(:0.5]", "fc(:0.5", "unclosed group"),
        ("regrow_fraction=2", "2", "in 0 to 1"),
        ("gradient_decay_rate=1", "1", "at least 0 and below 1"),
        ("block_dims_map=[fc(:1x1]", "fc(:1x1", "unclosed group"),
        ("groups=[a:*]", "a:*", "repetition operator"),
    ];
    for (text, value, range) in cases {
        let field = text.split_once('=').expect("name=value").0;
        let message = spec(text).validate().expect_err(text).to_string();
        let start = format!("`{field}`: {value}: ");
        assert!(message.starts_with(&start) && message.contains(range), "{text}: {message}");
    }
    for (text, field) in [
        ("target_flops=1,target_parameters=1", "target_flops"),
        ("regrow=rigl,end_pruning_step=9,pruned=freeze", "regrow"),
        ("regrow=rigl,end_pruning_step=9,threshold=histogram", "regrow"),
        ("regrow=rigl", "regrow"),
        ("regrow=rigl,end_pruning_step=9,block_width=4", "regrow"),
        ("regrow=rigl,end_pruning_step=9,pattern=channel", "regrow"),
        ("pruned=pull,penalty=0", "penalty"),
        ("pruned=pull,penalty=-1", "penalty"),
        ("pruned=pull,threshold=histogram", "threshold"),
        ("pruned=pull,schedule=one_shot", "schedule"),
        ("pruned=pull,score=movement", "score"),
        ("pruned=pull,score=first_order_gradient", "score"),
        ("pruned=pull,regrow=set,end_pruning_step=9", "regrow"),
        ("budget=erk,scope=global", "budget"),
        ("budget=erk,groups=[a:fc]", "budget"),
        ("threshold=histogram,scope=global", "threshold"),
        ("scope=unit,pattern=channel", "scope"),
        ("scope=unit,block_width=2", "scope"),
        ("scope=unit,groups=[a:fc]", "scope"),
        ("scope=unit,threshold=histogram", "scope"),
        ("scope=unit,regrow=set,end_pruning_step=9", "scope"),
        ("threshold=histogram,score=movement", "score"),
        ("score=movement,pattern=channel,block_pooling_function=max", "block_pooling_function"),
        ("score=movement,block_width=2,block_pooling_function=max", "block_pooling_function"),
    ] {
        let message = spec(text).validate().expect_err(text).to_string();
        assert!(message.starts_with(&format!("`{field}`: ")), "{text}: {message}");
    }
    let nan = PruningSpec::to(f64::NAN);
    assert!(nan.validate().is_err());
    let infinite = PruningSpec::default().sparsity_function_exponent(f64::INFINITY);
    assert!(infinite.validate().is_err());
    let colon = PruningSpec::default().groups(vec![("a:b", "fc").into()]);
    let message = colon.validate().expect_err("colon").to_string();
    assert!(message.starts_with("`groups`: a:b:fc: ") && message.contains("no colon"), "{message}");
    for fine in [
        "initial_sparsity=0.9,target_sparsity=0",
        "end_pruning_step=0",
        "threshold_decay=0",
        "score=movement,block_width=2",
        "prune_option=second_order_gradient",
    ] {
        spec(fine).validate().expect(fine);
    }
}

#[test]
fn do_not_prune_matches_substrings() {
    let mut spec = spec("do_not_prune=[fc3,embed]");
    spec.do_not_prune.push(String::new());
    assert!(spec.excludes("decoder.fc3.weight") && spec.excludes("embedding.weight"));
    assert!(!spec.excludes("fc1.weight"));
}

#[test]
fn partial_files_take_the_defaults() {
    let expected = PruningSpec::to(0.9)
        .do_not_prune(vec!["fc3".into()])
        .block_pooling_function(BlockPooling::Max)
        .pruned(Pruned::Revive);
    let toml_text = "target_sparsity = 0.9\ndo_not_prune = ['fc3']\npruned = 'revive'\n\
                     block_pooling_function = 'MAX'";
    assert_eq!(toml::from_str::<PruningSpec>(toml_text).expect("parses"), expected);
    let written = toml::to_string(&expected).expect("writes");
    assert_eq!(toml::from_str::<PruningSpec>(&written).expect("parses"), expected);
    assert!(written.contains("block_pooling_function = \"max\""), "{written}");
    let written = serde_json::to_string(&expected).expect("writes");
    assert_eq!(serde_json::from_str::<PruningSpec>(&written).expect("parses"), expected);
    let error = toml::from_str::<PruningSpec>("sparsity = 0.9").expect_err("unknown field");
    assert!(error.to_string().contains("sparsity"), "{error}");
}

fn any_spec() -> impl Strategy<Value = PruningSpec> {
    let word = "[A-Za-z0-9_./=-]([A-Za-z0-9_./= -]{0,8}[A-Za-z0-9_./=-])?";
    let part = "[a-z,\"\\[\\] ]{1,6}";
    let finite = || any::<f64>().prop_filter("finite", |x| x.is_finite());
    let pooling = prop_oneof![Just(BlockPooling::Avg), Just(BlockPooling::Max)];
    let threshold = prop_oneof![Just(Threshold::Exact), Just(Threshold::Histogram)];
    let modes = [Pruned::Zero, Pruned::Revive, Pruned::Freeze, Pruned::Pull];
    (
        (word, any::<[u64; 4]>(), any::<[i64; 3]>(), prop::collection::vec(part, 0..4)),
        (prop::array::uniform6(finite()), any::<u32>(), any::<bool>()),
        (pooling, threshold, prop::sample::select(modes.to_vec())),
        (any_rules(), any_division()),
    )
        .prop_map(|((name, steps, signed, names), (floats, nbins, tpu), choices, more)| {
            let ((maps, groups, blocks), [first, last], [parameters, flops]) = more.0;
            let (schedule, budget, scope, keep_units, (regrow, score), pattern) = more.1;
            PruningSpec::default()
                .name(name)
                .begin_pruning_step(steps[0])
                .end_pruning_step(signed[0])
                .do_not_prune(names)
                .threshold_decay(floats[0])
                .pruning_frequency(steps[1])
                .final_update(steps[1].is_multiple_of(2))
                .nbins(nbins)
                .block_height(signed[1])
                .block_width(signed[2])
                .block_pooling_function(choices.0)
                .initial_sparsity(floats[1])
                .target_sparsity(floats[2])
                .sparsity_function_begin_step(steps[2])
                .sparsity_function_end_step(steps[3])
                .sparsity_function_exponent(floats[3])
                .use_tpu(tpu)
                .threshold(choices.1)
                .pruned(choices.2)
                .schedule(schedule)
                .weight_sparsity_map(maps)
                .budget(budget)
                .scope(scope)
                .groups(groups)
                .first_layer_sparsity(first)
                .last_layer_sparsity(last)
                .target_parameters(parameters)
                .target_flops(flops)
                .keep_units(keep_units)
                .block_dims_map(blocks)
                .pattern(pattern)
                .score(score)
                .regrow(regrow)
                .regrow_fraction(floats[4])
                .gradient_decay_rate(floats[5])
        })
}

type Maps = (Vec<TensorTarget>, Vec<Group>, Vec<BlockDims>);
type Rules = (Maps, [Option<f64>; 2], [Option<u64>; 2]);

fn any_rules() -> impl Strategy<Value = Rules> {
    let finite = || prop::option::of(any::<f64>().prop_filter("finite", |x| x.is_finite()));
    let tensors = || "[a-z.*(:,\"\\[\\]{} ]{0,6}".prop_map(TensorPattern::from);
    let target = (tensors(), any::<f64>().prop_filter("finite", |x| x.is_finite()));
    let dims = (tensors(), any::<[i64; 2]>());
    (
        (
            prop::collection::vec(target.prop_map(TensorTarget::from), 0..3),
            prop::collection::vec(("[a-z,\"]{0,3}", tensors()).prop_map(Group::from), 0..3),
            prop::collection::vec(dims.prop_map(BlockDims::from), 0..3),
        ),
        prop::array::uniform2(finite()),
        prop::array::uniform2(prop::option::of(any::<u64>())),
    )
}

fn any_division() -> impl Strategy<Value = (Schedule, Budget, Scope, bool, (Regrow, Score), Pattern)>
{
    let schedules = [Schedule::Polynomial, Schedule::Cosine, Schedule::Constant, Schedule::OneShot];
    (
        prop::sample::select(schedules.to_vec()),
        prop_oneof![Just(Budget::Uniform), Just(Budget::Erk)],
        prop_oneof![Just(Scope::Layer), Just(Scope::Global), Just(Scope::Unit)],
        any::<bool>(),
        (
            prop_oneof![Just(Regrow::None), Just(Regrow::Rigl), Just(Regrow::Set)],
            prop::sample::select(Score::built_in().collect::<Vec<_>>()),
        ),
        prop_oneof![
            Just(Pattern::Element),
            Just(Pattern::Channel),
            any::<[u32; 2]>().prop_map(|[n, m]| Pattern::Nm { n, m }),
            any::<[u32; 3]>().prop_map(|[n, m, v]| Pattern::Vectors { n, m, v }),
        ],
    )
}

proptest! {
    #[test]
    fn string_form_round_trips(spec in any_spec()) {
        let text = spec.to_string();
        prop_assert_eq!(text.parse::<PruningSpec>().expect(&text), spec);
    }

    #[test]
    fn no_string_panics(text in "[a-z_=,\"\\[\\]0-9.\u{e9} -]{0,30}") {
        let _ = text.parse::<PruningSpec>();
    }

    /// Whatever the fields, the schedule and the gate answer.
    #[test]
    fn no_spec_panics(spec in any_spec(), step in any::<u64>(), last in any::<u64>()) {
        let _ = (spec.validate(), spec.sparsity_at(step), spec.is_update_due(step, last));
        let _ = spec.update_steps(step, u64::MAX, last).take(9).count();
        let _ = (spec.check_fires(last, step, last), spec.check_fires(last, step, 0));
    }
}
