//! What llama.cpp calls the tensors of other people's models, and how it lays some of them.

use crate::{Format, Model, Parameter};

/// The name of a tensor of GGUF, and the ends of the names that it has elsewhere: gguf-py's `TensorNameMap`, as far as
/// matrices go. Longer ends come before those they end in.
const NAMES: &[(&str, &[&str])] = &[
    ("token_embd", &["embed_tokens", "wte", "tok_embeddings", "word_embeddings", "embed_in"]),
    ("position_embd", &["wpe", "embed_positions", "position_embeddings"]),
    ("output", &["lm_head", "embed_out", "output"]),
    ("attn_qkv", &["attn.c_attn", "qkv_proj", "query_key_value", "attn.Wqkv"]),
    ("attn_q", &["attn.q_proj", "attention.wq"]),
    ("attn_k", &["attn.k_proj", "attention.wk"]),
    ("attn_v", &["attn.v_proj", "attention.wv"]),
    (
        "attn_output",
        &["attn.o_proj", "attn.c_proj", "attn.out_proj", "attn.dense", "attention.dense", "attention.wo"],
    ),
    ("ffn_gate", &["mlp.gate_proj", "feed_forward.w1", "block_sparse_moe.w1"]),
    (
        "ffn_up",
        &[
            "mlp.gate_up_proj",
            "mlp.up_proj",
            "mlp.c_fc",
            "mlp.fc1",
            "dense_h_to_4h",
            "feed_forward.w3",
            "block_sparse_moe.w3",
        ],
    ),
    (
        "ffn_down",
        &[
            "mlp.down_proj",
            "mlp.c_proj",
            "mlp.fc2",
            "dense_4h_to_h",
            "feed_forward.w2",
            "block_sparse_moe.w2",
        ],
    ),
];

/// Whether a name of GGUF is what llama.cpp makes of a name of elsewhere.
pub(super) fn same_tensor(elsewhere: &str, gguf: &str) -> bool {
    let (Some((path, last)), Some((name, gguf_last))) = (elsewhere.rsplit_once('.'), gguf.rsplit_once('.'))
    else {
        return false;
    };
    let (block, name) = match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
        Some((block, name)) => (Some(block), name),
        None => (None, name),
    };
    let ends = NAMES.iter().find(|(gguf, _)| *gguf == name).map(|(_, ends)| *ends).unwrap_or_default();
    let is_end =
        |end: &str| path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '_']));
    last == gguf_last && block == block_of(path) && ends.iter().any(|end| is_end(end))
}

/// What llama.cpp may call the module that is called so elsewhere.
pub(crate) fn gguf_names_of(module: &str) -> impl Iterator<Item = String> {
    let is_end = |end: &&str| {
        module.strip_suffix(*end).is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '_']))
    };
    let named = NAMES.iter().filter(move |(_, ends)| ends.iter().any(&is_end));
    let block = block_of(module).map(|block| format!("blk.{block}.")).unwrap_or_default();
    named.map(move |(name, _)| format!("{block}{name}"))
}

/// The first number in a path.
fn block_of(path: &str) -> Option<&str> {
    path.split('.').find(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The heads of queries or of keys, whose rows llama.cpp may put in another order.
pub(super) fn heads(model: &Model, parameter: &Parameter) -> Option<u64> {
    if model.format != Format::Gguf {
        return None;
    }
    let count = |ending: &str| {
        let found = model.metadata.iter().find(|(key, _)| key.ends_with(ending));
        found.and_then(|(_, text)| text.parse::<u64>().ok())
    };
    let queries = || count(".attention.head_count");
    let heads = match parameter.name.rsplit('.').nth(1)? {
        "attn_q" => queries(),
        "attn_k" => count(".attention.head_count_kv").or_else(queries),
        _ => None,
    };
    let rows = parameter.logical_shape().dims().first().copied().unwrap_or(0);
    heads.filter(|&heads| heads > 0 && rows.is_multiple_of(2 * heads))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_several_families() {
        for (elsewhere, gguf) in [
            ("model.layers.3.self_attn.q_proj.weight", "blk.3.attn_q.weight"),
            ("layers.3.attention.wq.weight", "blk.3.attn_q.weight"),
            ("transformer.h.0.attn.c_attn.bias", "blk.0.attn_qkv.bias"),
            ("h.11.mlp.c_proj.weight", "blk.11.ffn_down.weight"),
            ("gpt_neox.layers.2.mlp.dense_h_to_4h.weight", "blk.2.ffn_up.weight"),
            ("transformer.wte.weight", "token_embd.weight"),
            ("lm_head.weight", "output.weight"),
        ] {
            assert!(same_tensor(elsewhere, gguf), "{elsewhere} is {gguf}");
        }
    }

    #[test]
    fn what_is_not_the_same() {
        for (elsewhere, gguf) in [
            ("model.layers.3.self_attn.q_proj.weight", "blk.13.attn_q.weight"),
            ("model.layers.3.self_attn.q_proj.bias", "blk.3.attn_q.weight"),
            ("model.layers.3.self_attn.q_proj.weight", "blk.3.attn_qkv.weight"),
            ("model.layers.3.self_attn.o_proj.weight", "output.weight"),
            ("h.0.attn.c_proj.weight", "blk.0.ffn_down.weight"),
            ("weight", "weight"),
        ] {
            assert!(!same_tensor(elsewhere, gguf), "{elsewhere} is not {gguf}");
        }
    }
}
