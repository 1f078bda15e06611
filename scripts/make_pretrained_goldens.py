#!/usr/bin/env python3
"""Makes tiny networks of further architectures, and what transformers computes with them.

    python scripts/make_pretrained_goldens.py [FOLDER]

Needs torch, transformers and safetensors; FOLDER is tests/goldens/models. Each model has its folder
with config.json, model.safetensors and golden.json. Weights are drawn by a seed, so that the same
versions of these packages give the same files. Each folder is below 60 KB.
"""
import json
import pathlib
import sys

import torch
import transformers as t

LENGTH = 17


def drawn(model, seed):
    """Weights that leave no layer without a say, statistics of batch norms included."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.dim() > 1:
            fan = tensor[0].numel() if tensor.dim() > 2 else tensor.shape[-1]
            noise *= 1.5 / fan**0.5
        elif "norm" in name.lower() and name.endswith("weight"):
            noise = 1 + 0.2 * noise
        elif name.endswith("running_var"):
            noise = 0.5 + noise.abs()
        else:
            noise = 0.2 * noise
        with torch.no_grad():
            tensor.copy_(noise)
    model.tie_weights()
    return model.eval()


def numbers(tensor):
    return [round(x, 6) for x in tensor.flatten().tolist()]


def language(model, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(model.config.vocab_size, (2, LENGTH), generator=generator)
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    next_tokens = ids[:, 1:].reshape(-1)
    before = logits[:, :-1].reshape(len(next_tokens), -1)
    loss = torch.nn.functional.cross_entropy(before, next_tokens)
    return {
        "input_ids": ids.tolist(),
        "mean_next_token_loss": loss.item(),
        "logits_row0": numbers(logits[0]),
        "logits_row1_last": numbers(logits[1, -1]),
    }


def texts(model, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(model.config.vocab_size, (2, LENGTH), generator=generator)
    seen, types = torch.ones_like(ids), torch.zeros_like(ids)
    seen[1, 11:] = 0
    types[0, 9:] = 1
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=seen, token_type_ids=types).logits
    return {
        "input_ids": ids.tolist(),
        "attention_mask": seen.tolist(),
        "token_type_ids": types.tolist(),
        "logits": numbers(logits),
    }


def images(model, side):
    shape = [2, 3, side, side]
    pixels = torch.sin(0.05 * torch.arange(2 * 3 * side * side, dtype=torch.float64))
    with torch.no_grad():
        logits = model(pixel_values=pixels.float().reshape(shape)).logits
    return {"pixel_values": f"sin(0.05 i), {shape}", "logits": numbers(logits)}


def small(**more):
    """Sizes of a language model in the manner of Llama."""
    sizes = {
        "hidden_size": 24,
        "intermediate_size": 36,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 53,
        "max_position_embeddings": 64,
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    return sizes | more


def models():
    """Name, network, what it computes, and further files."""
    window = t.MistralConfig(**small(sliding_window=5, tie_word_embeddings=False))
    yield "mistral", drawn(t.MistralForCausalLM(window), 1), lambda m: language(m, 11), {}
    norms = t.Qwen3Config(
        **small(head_dim=10, intermediate_size=28, tie_word_embeddings=True),
        use_sliding_window=True,
        sliding_window=4,
        max_window_layers=1,
    )
    yield "qwen3", drawn(t.Qwen3ForCausalLM(norms), 2), lambda m: language(m, 12), {}
    biases = t.LlamaConfig(
        **small(head_dim=8, intermediate_size=28, hidden_act="gelu_pytorch_tanh"),
        attention_bias=True,
        mlp_bias=True,
        rope_parameters={"rope_type": "linear", "factor": 2.5, "rope_theta": 1000.0},
    )
    yield "llama_biases", drawn(t.LlamaForCausalLM(biases), 3), lambda m: language(m, 13), {}
    scaled = t.GPT2Config(
        vocab_size=53,
        n_positions=24,
        n_embd=24,
        n_layer=2,
        n_head=3,
        n_inner=40,
        activation_function="relu",
        scale_attn_weights=False,
        scale_attn_by_inverse_layer_idx=True,
        reorder_and_upcast_attn=True,
        bos_token_id=None,
        eos_token_id=None,
    )
    of_scaled = t.GPT2LMHeadModel._from_config(scaled, attn_implementation="eager")
    yield "gpt2_scaled", drawn(of_scaled, 7), lambda m: language(m, 15), {}
    classes = t.BertConfig(
        vocab_size=61,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=3,
        max_position_embeddings=32,
        num_labels=3,
        hidden_act="gelu_new",
    )
    of_texts = t.BertForSequenceClassification(classes)
    yield "bert_classes", drawn(of_texts, 4), lambda m: texts(m, 14), {}
    basic = t.ResNetConfig(
        embedding_size=6,
        hidden_sizes=[6, 8, 10],
        depths=[2, 1, 1],
        layer_type="basic",
        downsample_in_first_stage=True,
        num_labels=4,
    )
    of = {"crop_size": {"height": 40, "width": 40}, "image_processor_type": "BitImageProcessor", "size": 48}
    side = {"preprocessor_config.json": of}
    of_images = t.ResNetForImageClassification(basic)
    yield "resnet_basic", drawn(of_images, 5), lambda m: images(m, 40), side
    early = t.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[16, 24],
        depths=[1, 2],
        downsample_in_bottleneck=True,
        num_labels=2,
    )
    side = {"preprocessor_config.json": {"size": {"shortest_edge": 33}}}
    of_images = t.ResNetForImageClassification(early)
    yield "resnet_early", drawn(of_images, 6), lambda m: images(m, 33), side


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/goldens/models")
    for name, model, golden, files in models():
        path = folder / name
        model.save_pretrained(path)
        (path / "generation_config.json").unlink(missing_ok=True)
        of = {"torch": torch.__version__, "transformers": t.__version__} | golden(model)
        for file, content in ({"golden.json": of} | files).items():
            (path / file).write_text(json.dumps(content, separators=(",", ":")) + "\n")
        size = sum(file.stat().st_size for file in path.iterdir())
        assert size < 60_000, f"{name} has {size} bytes"
        print(name, size)


main()
