//! The parts that transformers, and networks like them, are made of.

use crate::names::names;
use crate::roles::is_norm;
use crate::{Model, ParameterId, Role};

names! {
    /// Which part of a transformer a parameter belongs to: a second classification beside [`Role`], for views that
    /// compare like with like across layers.
    TransformerPart {
        /// Vectors of the vocabulary.
        TokenEmbedding "token embedding";
        /// Vectors of the positions.
        PositionEmbedding "position embedding";
        /// What makes queries, keys and values, together or one by one.
        QueryKeyValue "query/key/value";
        /// What leads out of the attention.
        Projection "projection";
        /// What leads into the MLP, gates included.
        MlpIn "MLP in";
        /// What leads out of the MLP.
        MlpOut "MLP out";
        /// A normalisation.
        Norm "norm";
        /// What makes logits.
        Head "head";
        /// A convolution.
        Convolution "convolution";
    }
}

use TransformerPart::{Head, MlpIn, MlpOut, PositionEmbedding, Projection, QueryKeyValue, TokenEmbedding};

/// Module names, as the families of models write them; those of two parts come before those they end in.
const NAMES: &[(&str, TransformerPart)] = &[
    // nanoGPT, GPT-2 (Hugging Face)
    ("attn.c_proj", Projection),
    ("mlp.c_proj", MlpOut),
    ("wte", TokenEmbedding),
    ("wpe", PositionEmbedding),
    ("c_attn", QueryKeyValue),
    ("c_fc", MlpIn),
    ("lm_head", Head),
    // Llama, Mistral, Qwen, Gemma (Hugging Face)
    ("embed_tokens", TokenEmbedding),
    ("embed_positions", PositionEmbedding),
    ("q_proj", QueryKeyValue),
    ("k_proj", QueryKeyValue),
    ("v_proj", QueryKeyValue),
    ("qkv_proj", QueryKeyValue),
    ("o_proj", Projection),
    ("out_proj", Projection),
    ("gate_proj", MlpIn),
    ("up_proj", MlpIn),
    ("gate_up_proj", MlpIn),
    ("down_proj", MlpOut),
    ("fc1", MlpIn),
    ("fc2", MlpOut),
    // Llama (Meta)
    ("tok_embeddings", TokenEmbedding),
    ("attention.wo", Projection),
    ("wq", QueryKeyValue),
    ("wk", QueryKeyValue),
    ("wv", QueryKeyValue),
    ("w1", MlpIn),
    ("w3", MlpIn),
    ("w2", MlpOut),
    // BERT and its kin
    ("attention.output.dense", Projection),
    ("intermediate.dense", MlpIn),
    ("output.dense", MlpOut),
    ("word_embeddings", TokenEmbedding),
    ("position_embeddings", PositionEmbedding),
    ("query", QueryKeyValue),
    ("key", QueryKeyValue),
    ("value", QueryKeyValue),
    ("classifier", Head),
    // T5
    ("DenseReluDense.wo", MlpOut),
    ("SelfAttention.o", Projection),
    ("SelfAttention.q", QueryKeyValue),
    ("SelfAttention.k", QueryKeyValue),
    ("SelfAttention.v", QueryKeyValue),
    ("wi", MlpIn),
    ("wi_0", MlpIn),
    ("wi_1", MlpIn),
    // GPT-NeoX, Falcon, MPT
    ("embed_in", TokenEmbedding),
    ("query_key_value", QueryKeyValue),
    ("Wqkv", QueryKeyValue),
    ("attention.dense", Projection),
    ("dense_h_to_4h", MlpIn),
    ("dense_4h_to_h", MlpOut),
    ("embed_out", Head),
    // Vision transformers
    ("pos_embed", PositionEmbedding),
    ("positional_embedding", PositionEmbedding),
    ("qkv", QueryKeyValue),
    ("attn.proj", Projection),
    ("in_proj", QueryKeyValue),
    ("head", Head),
    // GGUF
    ("token_embd", TokenEmbedding),
    ("position_embd", PositionEmbedding),
    ("attn_q", QueryKeyValue),
    ("attn_k", QueryKeyValue),
    ("attn_v", QueryKeyValue),
    ("attn_qkv", QueryKeyValue),
    ("attn_output", Projection),
    ("ffn_up", MlpIn),
    ("ffn_gate", MlpIn),
    ("ffn_down", MlpOut),
    ("ffn_up_exps", MlpIn),
    ("ffn_gate_exps", MlpIn),
    ("ffn_gate_up_exps", MlpIn),
    ("ffn_down_exps", MlpOut),
    ("ffn_up_shexp", MlpIn),
    ("ffn_gate_shexp", MlpIn),
    ("ffn_down_shexp", MlpOut),
    // Teaching code
    ("token_embedding_table", TokenEmbedding),
    ("position_embedding_table", PositionEmbedding),
    ("tok_emb", TokenEmbedding),
    ("pos_emb", PositionEmbedding),
];

impl TransformerPart {
    /// The part that a parameter belongs to, from its role, its name, that of its layer, and its shape. `None` where
    /// none of them tells.
    pub fn of(model: &Model, id: ParameterId) -> Option<Self> {
        let parameter = model.parameter(id);
        if !parameter.role.is_learnt() {
            return None;
        }
        if parameter.role == Role::Norm {
            return Some(TransformerPart::Norm);
        }
        let layer = parameter.layer.map(|layer| model.layer(layer));
        let by_layer = || layer.and_then(|layer| by_name(&layer.name));
        let is_convolution = || match layer.and_then(|layer| layer.op.as_deref()) {
            Some(op) => op.contains("Conv"),
            // Matrices of many experts have three axes too.
            None => {
                let is_kernel = (3..=5).contains(&parameter.logical_shape().rank());
                parameter.role == Role::Weight && is_kernel && !parameter.name.contains("exp")
            }
        };
        by_name(&parameter.name)
            .or_else(by_layer)
            .or_else(|| is_convolution().then_some(TransformerPart::Convolution))
            // "output" is the head of llama.cpp and Meta; elsewhere it ends longer names.
            .or_else(|| (parameter.name == "output.weight").then_some(Head))
    }
}

fn by_name(name: &str) -> Option<TransformerPart> {
    let parts: Vec<&str> = name.split(['.', '/']).filter(|part| !part.is_empty()).collect();
    if parts.iter().rev().take(2).any(|module| is_norm(module)) {
        return Some(TransformerPart::Norm);
    }
    // `c_attn.weight`, `in_proj_weight`, `c_attn/MatMul`: the module comes last, or just before it.
    let ends: Vec<String> = (parts.len().saturating_sub(2)..parts.len())
        .rev()
        .map(|end| parts[..=end].join("."))
        .map(|path| path.trim_end_matches("_weight").trim_end_matches("_bias").to_owned())
        .collect();
    NAMES.iter().find(|(module, _)| ends.iter().any(|path| is_last_part(path, module))).map(|(_, part)| *part)
}

fn is_last_part(path: &str, module: &str) -> bool {
    path.strip_suffix(module).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Format, Layer, LayerId, LayerKind, Parameter, Shape, role_from_name};

    fn part(name: &str, dims: &[u64]) -> Option<TransformerPart> {
        let mut model = Model::new(Format::Memory);
        let shape = Shape::new(dims).expect("small");
        let role = role_from_name(name, &shape).unwrap_or(Role::Other);
        model.parameters.push(Parameter::new(name, DType::F32, shape, role));
        TransformerPart::of(&model, ParameterId::new(0).expect("zero"))
    }

    #[test]
    fn names_of_well_known_models() {
        let cases: &[(&str, &[u64], Option<TransformerPart>)] = &[
            ("transformer.wte.weight", &[65, 384], Some(TokenEmbedding)),
            ("transformer.wpe.weight", &[256, 384], Some(PositionEmbedding)),
            ("transformer.h.0.attn.c_attn.weight", &[1152, 384], Some(QueryKeyValue)),
            ("transformer.h.0.attn.c_proj.weight", &[384, 384], Some(Projection)),
            ("transformer.h.0.mlp.c_fc.bias", &[1536], Some(MlpIn)),
            ("transformer.h.0.mlp.c_proj.weight", &[384, 1536], Some(MlpOut)),
            ("transformer.h.0.ln_1.weight", &[384], Some(TransformerPart::Norm)),
            ("lm_head.weight", &[65, 384], Some(Head)),
            ("model.layers.0.self_attn.v_proj.weight", &[1024, 4096], Some(QueryKeyValue)),
            ("model.layers.0.mlp.gate_proj.weight", &[14336, 4096], Some(MlpIn)),
            ("layers.0.attention.wo.weight", &[4096, 4096], Some(Projection)),
            ("encoder.layer.0.attention.output.dense.weight", &[768, 768], Some(Projection)),
            ("encoder.layer.0.output.dense.weight", &[768, 3072], Some(MlpOut)),
            ("blk.0.ffn_down.weight", &[4096, 14336], Some(MlpOut)),
            ("output.weight", &[32000, 4096], Some(Head)),
            ("attn.in_proj_weight", &[2304, 768], Some(QueryKeyValue)),
            ("layer1.0.conv1.weight", &[64, 64, 3, 3], Some(TransformerPart::Convolution)),
            ("blk.0.ffn_gate_exps.weight", &[8, 14336, 4096], Some(MlpIn)),
            ("blk.0.ffn_down_exps.weight", &[8, 4096, 14336], Some(MlpOut)),
            ("model.layers.0.mlp.experts.gate_up_proj", &[8, 4096, 28672], Some(MlpIn)),
            ("model.layers.0.mlp.experts.w", &[8, 4096, 28672], None),
            ("h.0.attn.bias", &[1, 1, 8, 8], None),
            ("something.weight", &[3, 3], None),
        ];
        for (name, dims, expected) in cases {
            assert_eq!(part(name, dims), *expected, "{name}");
        }
    }

    #[test]
    fn nodes_of_a_graph_tell_where_the_parameter_does_not() {
        let mut model = Model::new(Format::Onnx);
        let shape = Shape::new([768, 2304]).expect("small");
        model.parameters.push(Parameter::new("onnx::MatMul_4711", DType::F32, shape, Role::Weight));
        let name = "/transformer/h.0/attn/c_attn/MatMul";
        model.layers.push(Layer::new(name, Some("MatMul".into()), LayerKind::Operation));
        model.parameters[0].layer = LayerId::new(0);
        assert_eq!(TransformerPart::of(&model, ParameterId::new(0).expect("zero")), Some(QueryKeyValue));
    }
}
