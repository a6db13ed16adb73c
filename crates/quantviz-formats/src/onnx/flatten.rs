//! One list of nodes out of graphs inside graphs and of functions.
//!
//! What is inside gets the path to where it is in front of its name, so that names stay unique and everything behind
//! sees one graph: `loop/body/weight`, `layer1/MatMul`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use onnx_ir::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use quantviz_core::{Error, Result};

use crate::Limits;

/// A model whose nodes follow each other: every value is made before it is read.
#[derive(Default)]
pub(super) struct FlatGraph {
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    /// What graphs inside nodes are given: the state of a loop, say.
    pub(super) inner_inputs: Vec<String>,
    pub(super) nodes: Vec<NodeProto>,
    pub(super) tensors: Vec<TensorProto>,
    pub(super) sparse: Vec<SparseTensor>,
    pub(super) annotations: Vec<Annotation>,
}

/// A tensor of which the file holds the elements that are not zero.
pub(super) struct SparseTensor {
    /// Those elements; its name is that of the whole.
    pub(super) values: TensorProto,
    pub(super) indices: TensorProto,
    pub(super) dims: Vec<i64>,
}

/// What `quantization_annotation` says of a tensor: the names of its scale and its zero-point.
pub(super) struct Annotation {
    pub(super) tensor: String,
    pub(super) scale: Option<String>,
    pub(super) zero_point: Option<String>,
}

/// A function, in terms that can be named here: onnx-ir exports no name for the message.
struct Function<'a> {
    name: &'a str,
    inputs: &'a [String],
    outputs: &'a [String],
    defaults: &'a [AttributeProto],
    nodes: &'a [NodeProto],
}

/// The node's name; what it does and makes, where it has none.
pub(super) fn node_name(node: &NodeProto) -> String {
    match node.name.as_str() {
        "" => format!("{}:{}", node.op_type, node.output.first().map_or("", String::as_str)),
        name => name.to_owned(),
    }
}

impl FlatGraph {
    /// The names of values that no node makes.
    pub(super) fn given(&self) -> impl Iterator<Item = &str> {
        let tensors = self.tensors.iter().chain(self.sparse.iter().map(|it| &it.values));
        let inputs = self.inputs.iter().chain(&self.inner_inputs);
        inputs.chain(tensors.map(|it| &it.name)).map(String::as_str)
    }
}

/// Takes the graph out of a model.
pub(super) fn flatten(proto: &mut ModelProto, limits: &Limits) -> Result<FlatGraph> {
    let graph = proto.graph.take();
    let graph = graph.ok_or_else(|| Error::malformed("this is no ONNX model: it has no graph"))?;
    let functions = proto.functions.iter().map(|it| {
        let (inputs, outputs) = (&it.input[..], &it.output[..]);
        Function { name: &it.name, inputs, outputs, defaults: &it.attribute_proto, nodes: &it.node }
    });
    let functions: Vec<_> = functions.collect();
    let signatures = proto.functions.iter().map(|it| (&*it.domain, &*it.name, &*it.overload));
    let mut flattening = Flattening {
        functions: &functions,
        function_at: signatures.zip(0..).collect(),
        calls: Vec::new(),
        paths: HashMap::new(),
        limits,
        room: limits.graph_memory,
        flat: FlatGraph {
            inputs: graph.input.iter().map(|input| input.name.clone()).collect(),
            outputs: graph.output.iter().map(|output| output.name.clone()).collect(),
            ..FlatGraph::default()
        },
    };
    flattening.graph(graph, &Scope::Outermost, 0)?;
    let mut flat = flattening.flat;
    put_in_order(&mut flat.nodes, &flat.tensors)?;
    Ok(flat)
}

/// Domain, name and overload of a function.
type Signature<'a> = (&'a str, &'a str, &'a str);

/// What a name means, depending on where it stands.
enum Scope<'a> {
    Outermost,
    Subgraph { path: String, own: HashSet<String>, outer: &'a Scope<'a> },
    Function { path: String, arguments: HashMap<&'a str, String> },
}

impl Scope<'_> {
    fn is_outermost(&self) -> bool {
        matches!(self, Scope::Outermost)
    }

    /// The name among all names of the model.
    fn resolve(&self, name: &str) -> String {
        match self {
            _ if name.is_empty() => String::new(),
            Scope::Outermost => name.to_owned(),
            Scope::Subgraph { own, outer, .. } if !own.contains(name) => outer.resolve(name),
            Scope::Function { arguments, .. } if arguments.contains_key(name) => arguments[name].clone(),
            Scope::Subgraph { path, .. } | Scope::Function { path, .. } => format!("{path}/{name}"),
        }
    }

    /// The name of something that stands here.
    fn place(&self, name: &str) -> String {
        match self {
            Scope::Outermost => name.to_owned(),
            _ if name.is_empty() => String::new(),
            Scope::Subgraph { path, .. } | Scope::Function { path, .. } => format!("{path}/{name}"),
        }
    }
}

struct Flattening<'a> {
    functions: &'a [Function<'a>],
    function_at: HashMap<Signature<'a>, usize>,
    /// Functions that are being taken apart, the outermost first.
    calls: Vec<usize>,
    /// How often each was asked for.
    paths: HashMap<String, usize>,
    limits: &'a Limits,
    /// Bytes that names and copies may still take.
    room: u64,
    flat: FlatGraph,
}

impl<'a> Flattening<'a> {
    fn graph(&mut self, graph: GraphProto, scope: &Scope<'_>, depth: usize) -> Result<()> {
        if depth > self.limits.depth {
            let message = format!("graphs are nested more than {} deep", self.limits.depth);
            return Err(Error::limit(message).of_limit("depth"));
        }
        if !scope.is_outermost() {
            for mut input in graph.input {
                self.rename(&mut input.name, scope)?;
                self.flat.inner_inputs.push(input.name);
            }
        }
        let mut tensors = graph.initializer;
        tensors.iter_mut().try_for_each(|tensor| self.rename(&mut tensor.name, scope))?;
        match self.flat.tensors.is_empty() {
            true => self.flat.tensors = tensors,
            false => self.flat.tensors.append(&mut tensors),
        }
        for mut sparse in graph.sparse_initializer {
            let mut values = sparse.values.take().unwrap_or_default();
            self.rename(&mut values.name, scope)?;
            let indices = sparse.indices.take().unwrap_or_default();
            self.flat.sparse.push(SparseTensor { values, indices, dims: sparse.dims });
        }
        for mut annotation in graph.quantization_annotation {
            self.rename(&mut annotation.tensor_name, scope)?;
            let mut named = |key: &str| {
                let mut entries = annotation.quant_parameter_tensor_names.iter();
                let name = entries.find(|entry| entry.key == key).map(|entry| scope.resolve(&entry.value));
                self.charge(name.as_ref().map_or(0, String::len)).map(|()| name)
            };
            let (scale, zero_point) = (named("SCALE_TENSOR")?, named("ZERO_POINT_TENSOR")?);
            self.flat.annotations.push(Annotation { tensor: annotation.tensor_name, scale, zero_point });
        }
        let is_flat = |node: &NodeProto| {
            let has_graph = |it: &AttributeProto| it.g.is_some() || !it.graphs.is_empty();
            self.called(node).is_none() && !node.attribute.iter().any(has_graph)
        };
        if scope.is_outermost() && graph.node.iter().all(is_flat) {
            self.flat.nodes = graph.node;
            return Ok(());
        }
        graph.node.into_iter().try_for_each(|node| self.node(node, scope, depth))
    }

    /// The function that a node calls.
    fn called(&self, node: &NodeProto) -> Option<usize> {
        self.function_at.get(&(&*node.domain, &*node.op_type, &*node.overload)).copied()
    }

    fn node(&mut self, mut node: NodeProto, scope: &Scope<'_>, depth: usize) -> Result<()> {
        if !scope.is_outermost() {
            for name in node.input.iter_mut().chain(&mut node.output) {
                self.rename(name, scope)?;
            }
            node.name = scope.place(&node.name);
            self.charge(cost(&node))?;
        }
        if let Some(function) = self.called(&node) {
            return self.call(function, &node, depth);
        }
        let mut subgraphs = Vec::new();
        for attribute in &mut node.attribute {
            let graphs = std::mem::take(&mut attribute.graphs).into_iter().enumerate();
            let many = graphs.map(|(index, graph)| (format!("{}.{index}", attribute.name), graph));
            let one = attribute.g.take().map(|graph| (attribute.name.clone(), graph));
            subgraphs.extend(one.into_iter().chain(many));
        }
        let name = if subgraphs.is_empty() { String::new() } else { node_name(&node) };
        self.flat.nodes.push(node);
        for (attribute, graph) in subgraphs {
            let path = self.new_path(format!("{name}/{attribute}"))?;
            let own = names_of(&graph);
            self.charge(own.iter().map(|name| name.len() + size_of::<String>()).sum())?;
            self.graph(graph, &Scope::Subgraph { path, own, outer: scope }, depth + 1)?;
        }
        Ok(())
    }

    /// Puts the nodes of a function in the place of the node that calls it.
    fn call(&mut self, index: usize, call: &NodeProto, depth: usize) -> Result<()> {
        let function = &self.functions[index];
        if self.calls.contains(&index) {
            return Err(Error::malformed(format!("the function {:?} calls itself", function.name)));
        }
        if depth > self.limits.depth {
            let message = format!("functions call each other more than {} deep", self.limits.depth);
            return Err(Error::limit(message).of_limit("depth"));
        }
        let path = self.new_path(node_name(call))?;
        let paired = |names: &'a [String], actual: &[String]| {
            let actual = actual.iter().cloned().chain(std::iter::repeat(String::new()));
            names.iter().map(String::as_str).zip(actual).collect::<Vec<_>>()
        };
        let outputs = paired(function.outputs, &call.output).into_iter().filter(|(_, name)| !name.is_empty());
        let arguments = outputs.chain(paired(function.inputs, &call.input)).collect();
        let scope = Scope::Function { path, arguments };
        self.calls.push(index);
        let given = call.attribute.iter().rev();
        let values = function.defaults.iter().rev().chain(given).map(|value| (value.name.as_str(), value));
        let values = values.collect();
        for inner in function.nodes {
            let mut inner = inner.clone();
            fill_in(&mut inner, &values);
            self.node(inner, &scope, depth + 1)?;
        }
        self.calls.pop();
        Ok(())
    }

    fn rename(&mut self, name: &mut String, scope: &Scope<'_>) -> Result<()> {
        if !scope.is_outermost() {
            *name = scope.resolve(name);
            self.charge(name.len())?;
        }
        Ok(())
    }

    /// The path, or one like it that is free: node names need not be unique.
    fn new_path(&mut self, path: String) -> Result<String> {
        self.charge(2 * path.len() + 128)?;
        let times = self.paths.entry(path.clone()).or_default();
        *times += 1;
        if *times == 1 {
            return Ok(path);
        }
        let numbered = format!("{path}#{times}");
        self.new_path(numbered)
    }

    /// Counts what a small file makes large: paths in front of names, and functions called again and again.
    fn charge(&mut self, bytes: usize) -> Result<()> {
        let left = self.room.checked_sub(bytes as u64);
        self.room = left.ok_or_else(|| {
            let most = self.limits.graph_memory;
            Error::limit(format!("its functions and inner graphs take more than {most} bytes of memory"))
                .of_limit("graph_memory")
        })?;
        Ok(())
    }
}

/// What a graph defines.
fn names_of(graph: &GraphProto) -> HashSet<String> {
    let inputs = graph.input.iter().map(|input| &input.name);
    let tensors = graph.initializer.iter().map(|tensor| &tensor.name);
    let sparse = graph.sparse_initializer.iter().filter_map(|sparse| Some(&sparse.values.as_ref()?.name));
    let outputs = graph.node.iter().flat_map(|node| &node.output);
    inputs.chain(tensors).chain(sparse).chain(outputs).filter(|name| !name.is_empty()).cloned().collect()
}

/// About what a node takes in memory, and the layer that it becomes.
fn cost(node: &NodeProto) -> usize {
    let names = node.input.iter().chain(&node.output).map(|name| name.len() + 128);
    1024 + 4 * node.name.len() + names.sum::<usize>() + 512 * node.attribute.len()
}

/// Gives attributes of a function's node, and of what is inside it, the values of the call that they refer to, and takes
/// away those for which it has none.
fn fill_in(node: &mut NodeProto, values: &HashMap<&str, &AttributeProto>) {
    node.attribute.retain_mut(|attribute| {
        if !attribute.ref_attr_name.is_empty() {
            let Some(&value) = values.get(attribute.ref_attr_name.as_str()) else { return false };
            *attribute = AttributeProto { name: std::mem::take(&mut attribute.name), ..value.clone() };
            return true;
        }
        let inner = attribute.g.as_mut().into_iter().chain(&mut attribute.graphs);
        inner.flat_map(|graph| &mut graph.node).for_each(|node| fill_in(node, values));
        true
    });
}

/// Sorts nodes so that every value is made before it is read, and leaves them alone where it is so already.
fn put_in_order(nodes: &mut Vec<NodeProto>, tensors: &[TensorProto]) -> Result<()> {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    let tensors: HashSet<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    for (index, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if tensors.contains(output.as_str()) && node.op_type != "Constant" {
                let message = "a node makes a value that has the name of a tensor";
                return Err(Error::malformed(message).in_tensor(output));
            }
            if makers.insert(output, index).is_some() {
                return Err(Error::malformed("two nodes make a value of this name").in_tensor(output));
            }
        }
    }
    if nodes.iter().enumerate().all(|(index, node)| needs(node, &makers).all(|maker| maker < index)) {
        return Ok(());
    }
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waits_for = vec![0usize; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for maker in needs(node, &makers) {
            readers[maker].push(index);
            waits_for[index] += 1;
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..nodes.len()).filter(|&index| waits_for[index] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &reader in &readers[index] {
            waits_for[reader] -= 1;
            if waits_for[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    if let Some(stuck) = waits_for.iter().position(|&count| count > 0) {
        let value = nodes[stuck].output.first().map_or("", String::as_str).to_owned();
        return Err(Error::malformed("this value depends on itself: the graph has a cycle").in_tensor(value));
    }
    *nodes = order.into_iter().map(|index| std::mem::take(&mut nodes[index])).collect();
    Ok(())
}

/// The nodes that make what a node reads.
fn needs<'a>(node: &'a NodeProto, makers: &'a HashMap<&str, usize>) -> impl Iterator<Item = usize> + 'a {
    node.input.iter().filter_map(|input| makers.get(input.as_str()).copied())
}
