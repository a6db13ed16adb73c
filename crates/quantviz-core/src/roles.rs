//! What a parameter is for, as its name and its shape tell.

use crate::{Role, Shape};

/// The role of a parameter that no graph explains: in checkpoints, the last part of a dotted name says what it is
/// and the part before it says in what. `None` where neither does.
///
/// ```
/// use quantviz_core::{Role, Shape, role_from_name};
///
/// assert_eq!(role_from_name("h.0.ln_1.bias", &Shape::vector(768)), Some(Role::Norm));
/// assert_eq!(role_from_name("h.0.attn.c_attn.bias", &Shape::vector(2304)), Some(Role::Bias));
/// # Ok::<(), quantviz_core::Error>(())
/// ```
pub fn role_from_name(name: &str, shape: &Shape) -> Option<Role> {
    let (path, last) = name.rsplit_once(['.', '/']).unwrap_or(("", name));
    let module = path.rsplit(['.', '/']).next().unwrap_or_default();
    RULES.iter().find(|rule| (rule.holds)(&Facts { path, module, last, shape })).map(|rule| rule.role)
}

struct Facts<'a> {
    path: &'a str,
    module: &'a str,
    last: &'a str,
    shape: &'a Shape,
}

struct Rule {
    role: Role,
    holds: fn(&Facts<'_>) -> bool,
}

/// Buffers that modules keep among their parameters: masks, and tables of positions.
const CONSTANTS: &[&str] = &[
    "attn_mask",
    "causal_mask",
    "freqs_cis",
    "freqs_cos",
    "freqs_sin",
    "inv_freq",
    "masked_bias",
    "position_ids",
    "relative_position_index",
    "tril",
];

/// The tables of a rotary embedding: `cos_cache`, `cos_cached`, `sin_cache_large`, `cos_sin_cache`.
const ROTARY_TABLES: &[&str] = &["cos_cache", "sin_cache", "cos_sin_cache"];

/// The first rule that holds decides.
const RULES: &[Rule] = &[
    Rule {
        role: Role::Optimizer,
        holds: |it| {
            it.path.split('.').any(|part| part.starts_with("optimizer"))
                || one_of(it.last, &["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"])
                || (it.last == "step" && it.path.split('.').any(|part| part == "state"))
        },
    },
    Rule {
        role: Role::RunningStat,
        holds: |it| {
            one_of(
                it.last,
                &["running_mean", "running_var", "num_batches_tracked", "moving_mean", "moving_variance"],
            )
        },
    },
    Rule {
        role: Role::Constant,
        holds: |it| one_of(it.last, CONSTANTS) || is_progress(it) || is_rotary(it) || is_mask(it),
    },
    Rule { role: Role::Norm, holds: |it| is_norm(it.module) && it.shape.rank() <= 1 },
    Rule { role: Role::Norm, holds: |it| one_of(it.last, &["gamma", "beta"]) },
    Rule {
        role: Role::Scale,
        holds: |it| {
            one_of(it.last, &["scale", "scales", "scale_inv"])
                || ends_with(it.last, &["_scale", "_scales", "_scale_inv"])
        },
    },
    Rule {
        role: Role::ZeroPoint,
        holds: |it| {
            one_of(it.last, &["zero_point", "zero_points", "zeros", "qzeros"])
                || ends_with(it.last, &["_zero_point", "_zeros"])
        },
    },
    Rule { role: Role::Bias, holds: |it| it.last.starts_with("bias") || it.last.ends_with("_bias") },
    Rule {
        role: Role::Embedding,
        holds: |it| it.shape.rank() >= 2 && (is_embedding(it.module) || is_embedding(it.last)),
    },
    Rule {
        role: Role::Weight,
        holds: |it| it.last == "weight" && it.module.to_ascii_lowercase().contains("prelu"),
    },
    // Nothing else but a normalisation multiplies with a vector.
    Rule { role: Role::Norm, holds: |it| it.last == "weight" && it.shape.rank() == 1 },
    Rule {
        role: Role::Weight,
        holds: |it| {
            it.shape.rank() >= 2
                && (one_of(it.last, &["weight", "kernel", "qweight", "qdata", "int_data"])
                    || it.last.contains("weight")
                    || it.last.contains("proj"))
        },
    },
];

fn one_of(name: &str, names: &[&str]) -> bool {
    names.contains(&name)
}

fn ends_with(name: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| name.ends_with(ending))
}

/// `ln_1`, `input_layernorm`, `bn2`, `q_norm`, `LayerNorm`: whether a module's name is that of a normalisation.
pub(crate) fn is_norm(module: &str) -> bool {
    let module = module.to_ascii_lowercase();
    module.contains("norm")
        || module
            .split(|c: char| !c.is_ascii_alphabetic())
            .any(|word| one_of(word, &["ln", "bn", "gn", "rms"]))
}

fn is_embedding(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("embed")
        || name.contains("_embd")
        || one_of(&name, &["wte", "wpe", "tok_emb", "pos_emb", "cls_token"])
}

/// `best_val_loss`, `epoch`: how far training has come, at the top of a checkpoint.
fn is_progress(it: &Facts<'_>) -> bool {
    it.path.is_empty()
        && it.shape.rank() == 0
        && (it.last.ends_with("loss") || one_of(it.last, &["epoch", "global_step", "iter_num", "lr", "step"]))
}

/// What a rotary embedding turns queries and keys by follows from its settings. GGUF has it as `rope_freqs.weight`.
fn is_rotary(it: &Facts<'_>) -> bool {
    it.module.starts_with("rope_")
        || it.module.starts_with("rotary_emb")
        || ROTARY_TABLES.iter().any(|table| it.last.starts_with(table))
}

/// GPT-2 keeps the causal mask of every attention under the name `attn.bias`.
fn is_mask(it: &Facts<'_>) -> bool {
    let dims = it.shape.dims();
    it.last == "bias" && dims.len() == 4 && dims[..2] == [1, 1] && dims[2] == dims[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_well_known_checkpoints() {
        let cases: &[(&str, &[u64], Option<Role>)] = &[
            ("wte.weight", &[50257, 768], Some(Role::Embedding)),
            ("transformer.wpe.weight", &[1024, 768], Some(Role::Embedding)),
            ("h.0.attn.bias", &[1, 1, 1024, 1024], Some(Role::Constant)),
            ("h.0.attn.c_attn.weight", &[768, 2304], Some(Role::Weight)),
            ("h.0.attn.c_attn.bias", &[2304], Some(Role::Bias)),
            ("h.11.ln_2.weight", &[768], Some(Role::Norm)),
            ("ln_f.bias", &[768], Some(Role::Norm)),
            ("model.layers.3.input_layernorm.weight", &[4096], Some(Role::Norm)),
            ("model.layers.3.self_attn.q_norm.weight", &[128], Some(Role::Norm)),
            ("model.embed_tokens.weight", &[32000, 4096], Some(Role::Embedding)),
            ("bert.embeddings.LayerNorm.gamma", &[768], Some(Role::Norm)),
            ("bert.embeddings.position_ids", &[1, 512], Some(Role::Constant)),
            ("layer1.0.bn1.running_mean", &[64], Some(Role::RunningStat)),
            ("layer1.0.bn1.num_batches_tracked", &[], Some(Role::RunningStat)),
            ("rope_freqs.weight", &[64], Some(Role::Constant)),
            ("blk.0.rope_factors_long.weight", &[48], Some(Role::Constant)),
            ("act.prelu.weight", &[64], Some(Role::Weight)),
            ("layer1.0.downsample.1.weight", &[64], Some(Role::Norm)),
            ("layer1.0.downsample.0.weight", &[64, 64, 1, 1], Some(Role::Weight)),
            ("visual.pos_embed", &[1, 197, 768], Some(Role::Embedding)),
            ("attn.in_proj_weight", &[2304, 768], Some(Role::Weight)),
            ("attn.in_proj_bias", &[2304], Some(Role::Bias)),
            ("model.layers.0.mlp.down_proj.weight_scale_inv", &[32, 86], Some(Role::Scale)),
            ("model.layers.0.mlp.down_proj.qzeros", &[32, 512], Some(Role::ZeroPoint)),
            ("optimizer.state.0.exp_avg", &[10], Some(Role::Optimizer)),
            ("0.weight.qdata", &[32, 64], Some(Role::Weight)),
            ("state.0.step", &[], Some(Role::Optimizer)),
            ("rnn.bias_ih_l0", &[4], Some(Role::Bias)),
            ("best_val_loss", &[], Some(Role::Constant)),
            ("focal_loss", &[8], None),
            ("rotary.cos_cached", &[8, 4], Some(Role::Constant)),
            ("sin_cache_large", &[8, 4], Some(Role::Constant)),
            ("model.layers.0.self_attn.rotary_emb.inv_freq", &[64], Some(Role::Constant)),
            ("model.rotary_emb.original_inv_freq", &[64], Some(Role::Constant)),
            ("anything", &[10], None),
        ];
        for (name, dims, role) in cases {
            assert_eq!(role_from_name(name, &Shape::new(*dims).expect("small")), *role, "{name}");
        }
    }
}
