//! Rows that a model does not take, and values in the way of those that it takes.
use secateur::Result;
use secateur::pretrained::{PaddedText, Rows, Window};

use super::Golden;
use crate::common::gpu;
use crate::models::{Copied, Held};

fn refused<T>(result: Result<T>, what: &[&str]) {
    let Err(error) = result else { panic!("{what:?} is not refused") };
    let error = error.to_string();
    what.iter().for_each(|what| assert!(error.contains(what), "{error}\nlacks {what}"));
}

#[test]
fn rows_that_a_model_does_not_take_are_named() {
    let Some(gpu) = gpu() else { return };
    let [llama, bert, vit] = ["llama", "bert", "vit"].map(|name| Golden::open(name).model);
    let window = |ids: &[u32]| Window::new(ids.to_vec());
    let one = [window(&[1, 2, 3])];
    refused(vit.outputs(gpu, Rows::Tokens(&one)), &["images of 24 x 24 pixels with 3 channels"]);
    refused(llama.outputs(gpu, Rows::Images(&[0.0; 12])), &["takes windows of tokens"]);
    refused(bert.outputs(gpu, Rows::Tokens(&one)), &["tokens with padding and types"]);
    refused(vit.outputs(gpu, Rows::Images(&[0.0; 12])), &["12 values", "24 x 24 x 3"]);
    refused(llama.outputs(gpu, Rows::Tokens(&[])), &["there are none"]);
    let long = [window(&[5; 65])];
    refused(llama.outputs(gpu, Rows::Tokens(&long)), &["65 tokens each", "knows 64 positions"]);
    let other = [window(&[1, 2, 3]), window(&[1, 2])];
    refused(llama.outputs(gpu, Rows::Tokens(&other)), &["row 1 has 2 tokens, the first has 3"]);
    let unknown = [window(&[1, 2, 101])];
    let what = ["token 101 in row 0", "table has 101", "tokenizer of this model"];
    refused(llama.outputs(gpu, Rows::Tokens(&unknown)), &what);
    let text = |seen: usize, kind: u32| {
        [PaddedText { ids: vec![4; 5], seen: vec![true; seen], types: vec![0, 0, 0, 0, kind] }]
    };
    refused(bert.outputs(gpu, Rows::Padded(&text(4, 1))), &["5 tokens, 4 seen, 5 types"]);
    refused(bert.outputs(gpu, Rows::Padded(&text(5, 2))), &["type 2 in row 0", "knows 2 types"]);

    let nothing = &mut |_, _| {};
    let perplexity = llama.perplexity(gpu, &[window(&[7])], nothing);
    refused(perplexity, &["window 0 has 1 tokens, none from 1 on"]);
    refused(bert.perplexity(gpu, &one, nothing), &["is no language model"]);
}

#[test]
fn weights_that_are_not_finite_are_named() {
    let Some(gpu) = gpu() else { return };
    let outputs = |name: &str, shape: &[usize], at: usize| {
        let copied = Copied::of("llama");
        let mut values = copied.tensors[name].values();
        values[at] = f32::INFINITY;
        let copied = copied.put(name, Held::floats(shape, &values));
        let model = secateur::pretrained::Pretrained::open(copied.write()).unwrap();
        model.outputs(gpu, Rows::Tokens(&[Window::new(vec![3, 61])]))
    };
    let table = "model.embed_tokens.weight";
    refused(outputs(table, &[101, 48], 61 * 48 + 5), &[table, "inf for token 61"]);
    // Nobody asks for that one.
    outputs(table, &[101, 48], 60 * 48 + 5).unwrap();
    let up = "model.layers.1.mlp.up_proj.weight";
    refused(outputs(up, &[96, 48], 48), &[up, "inf at element 48"]);
}
