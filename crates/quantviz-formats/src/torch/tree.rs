//! The walk through the values of a pickle: what is a tensor, what it is called, and which module it belongs to.

use std::collections::HashSet;

use quantviz_core::{
    DType, Encoding, Error, Granularity, Operand, ParameterId, QuantDescriptor, Result, Role, Shape,
    WarningKind, one_line, role_from_name,
};

use super::arena::{Arena, Node, NodeId, Object};
use super::catalogue::Catalogue;
use super::pickle::Pickle;
use super::pickled::PickledStorages;
use super::storages::Storages;
use super::tensor::{Made, Quantizer, Tensor, Values, bare_storage, made};

/// Adds all tensors of a pickle, under this path.
pub(super) fn collect(
    pickle: &Pickle,
    storages: &mut Storages,
    catalogue: &mut Catalogue<'_>,
    path: &str,
    role: Option<Role>,
) -> Result<()> {
    let mut walk = Walk {
        arena: &pickle.arena,
        storages,
        catalogue,
        path: path.to_owned(),
        names: 0,
        role,
        in_buffers: false,
        open: Vec::new(),
        barren: HashSet::new(),
        pickled: PickledStorages::default(),
    };
    walk.visit(pickle.root, None).map(drop)
}

/// The dictionaries in which a module keeps what is its own. Its paths do not name them.
const OWN: &[&str] = &["_parameters", "_buffers", "_modules"];

/// Paths longer than this name nothing that anybody wrote.
const PATH_BYTES: usize = 1 << 16;

struct Walk<'a, 'b> {
    arena: &'a Arena,
    storages: &'a mut Storages,
    catalogue: &'a mut Catalogue<'b>,
    /// Where the walk is: keys, indices and attributes from the top.
    path: String,
    /// How many there are.
    names: usize,
    /// The role of all tensors, where it is known.
    role: Option<Role>,
    /// Whether the walk is among the buffers of a module, which nothing learns.
    in_buffers: bool,
    /// The values that the walk is inside of, so that it goes in no circle.
    open: Vec<NodeId>,
    /// Values that have been looked into and hold no tensor.
    barren: HashSet<NodeId>,
    pickled: PickledStorages,
}

/// The class of the module whose attributes are looked at, if it is one.
type Class<'c> = Option<&'c str>;

impl Walk<'_, '_> {
    /// Looks into a value. Tells whether there was a tensor in it.
    fn visit(&mut self, id: NodeId, class: Class<'_>) -> Result<bool> {
        if !self.holds_others(id) || self.barren.contains(&id) || self.open.contains(&id) {
            return Ok(false);
        }
        let depth = self.catalogue.limits.pickle_depth;
        if self.open.len() >= depth {
            return Err(Error::limit(format!("values inside values, more than {depth} deep"))
                .of_limit("pickle_depth"));
        }
        self.open.push(id);
        let found = match self.arena.node(id) {
            Node::Dict(_) => self.visit_pairs(id, None),
            Node::Persistent(_) => match bare_storage(self.arena, id) {
                Some(made) => self.visit_made(made, class),
                None => Ok(false),
            },
            Node::Object(_) => self.visit_object(id, class),
            _ => self.visit_items(self.arena.items(id).unwrap_or_default(), None),
        }?;
        self.open.pop();
        if !found {
            self.barren.insert(id);
        }
        Ok(found)
    }

    fn holds_others(&self, id: NodeId) -> bool {
        matches!(
            self.arena.node(id),
            Node::Tuple(_) | Node::List(_) | Node::Dict(_) | Node::Persistent(_) | Node::Object(_)
        )
    }

    fn visit_items(&mut self, items: &[NodeId], class: Class<'_>) -> Result<bool> {
        self.charge(items.len())?;
        // The codes of a layer and what it adds: how torch packs the parameters of quantized layers.
        let is_packed = items.iter().any(|&item| self.is_quantized(item));
        let outer = self.role;
        let mut found = false;
        for (index, &item) in items.iter().enumerate() {
            if is_packed && outer.is_none() {
                self.role = Some(if self.is_quantized(item) { Role::Weight } else { Role::Bias });
            }
            found |= self.visit_named(&index.to_string(), item, class)?;
            self.role = outer;
        }
        Ok(found)
    }

    fn visit_pairs(&mut self, id: NodeId, class: Class<'_>) -> Result<bool> {
        let arena = self.arena;
        let Some(pairs) = arena.pairs(id) else { return Ok(false) };
        self.charge(pairs.clone().count())?;
        let mut found = false;
        for (index, (key, value)) in pairs.enumerate() {
            let name = self.name_of(key, index)?;
            self.note(&name, value, class);
            found |= self.visit_named(&name, value, class)?;
        }
        Ok(found)
    }

    /// What a key adds to a path; that of an object is nothing that can be written.
    fn name_of(&mut self, key: NodeId, index: usize) -> Result<String> {
        let name = match self.arena.text(key) {
            Some(text) => text.into_owned(),
            None => self.arena.int(key).map_or(index.to_string(), |key| key.to_string()),
        };
        // A long name costs its length for every key that refers to it.
        self.charge(name.len() / 16)?;
        Ok(name)
    }

    /// Looks into a value that has a name of its own.
    fn visit_named(&mut self, name: &str, id: NodeId, class: Class<'_>) -> Result<bool> {
        if !self.holds_others(id) {
            return Ok(false);
        }
        let outer = self.path.len();
        self.extend_path(name)?;
        self.names += 1;
        let found = self.visit(id, class)?;
        self.names -= 1;
        self.path.truncate(outer);
        Ok(found)
    }

    fn extend_path(&mut self, name: &str) -> Result<()> {
        if self.path.len() + name.len() >= PATH_BYTES {
            return Err(Error::limit(format!("a path of more than {PATH_BYTES} bytes")));
        }
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        Ok(())
    }

    fn visit_object(&mut self, id: NodeId, class: Class<'_>) -> Result<bool> {
        let Some(object) = self.arena.object(id) else { return Ok(false) };
        let made = made(self.arena, &object, self.catalogue.limits.rank)
            .map_err(|error| error.in_tensor(self.name()))?;
        if let Some(made) = made {
            return self.visit_made(made, class);
        }
        let mut found = self.visit_args(&object)?;
        found |= self.visit_state(&object)?;
        found |= self.visit_pairs(id, None)?;
        if let Some(items) = object.items {
            found |= self.visit_items(self.arena.list(items), None)?;
        }
        Ok(found)
    }

    /// What an object is made from: one thing that it is like, or several.
    fn visit_args(&mut self, object: &Object) -> Result<bool> {
        let arena = self.arena;
        match arena.items(object.args).unwrap_or_default() {
            // Old ordered dictionaries are made from a list of keys and values.
            &[only] if arena.is_global(object.class, "collections", "OrderedDict") => {
                let entries = arena.items(only).unwrap_or_default();
                self.charge(entries.len())?;
                let mut found = false;
                for (index, entry) in entries.iter().enumerate() {
                    if let Some(&[key, value]) = arena.items(*entry) {
                        let name = self.name_of(key, index)?;
                        found |= self.visit_named(&name, value, None)?;
                    }
                }
                Ok(found)
            }
            &[only] => self.visit(only, None),
            &[value, _] if arena.is_global(object.class, "torch.jit._pickle", "restore_type_tag") => {
                self.visit(value, None)
            }
            several => self.visit_items(several, None),
        }
    }

    /// The attributes of an object: a dictionary, or two where it has slots too.
    fn visit_state(&mut self, object: &Object) -> Result<bool> {
        let arena = self.arena;
        let Some(state) = object.state else { return Ok(false) };
        let class = self.module_class(object);
        let class = class.as_deref();
        match (arena.node(state), arena.items(state)) {
            (Node::Dict(_), _) => self.visit_attributes(state, class),
            (Node::Tuple(_), Some(&[attributes, slots])) if matches!(arena.node(slots), Node::Dict(_)) => {
                Ok(self.visit_attributes(attributes, class)? | self.visit_attributes(slots, class)?)
            }
            (_, Some(items)) => self.visit_items(items, class),
            _ => self.visit(state, class),
        }
    }

    fn visit_attributes(&mut self, state: NodeId, class: Class<'_>) -> Result<bool> {
        let arena = self.arena;
        let Some(pairs) = arena.pairs(state).filter(|_| class.is_some()) else {
            return self.visit_pairs(state, class);
        };
        self.charge(pairs.clone().count())?;
        let mut found = false;
        for (index, (key, value)) in pairs.enumerate() {
            let name = self.name_of(key, index)?;
            found |= match name.as_str() {
                name if OWN.contains(&name) => {
                    self.in_buffers = name == "_buffers";
                    let found = self.visit_pairs(value, class);
                    self.in_buffers = false;
                    found?
                }
                // Recurrent modules list their own parameters a second time.
                "_flat_weights" => false,
                name => self.visit_named(name, value, class)?,
            };
        }
        Ok(found)
    }

    /// The class of an object that is a module: one of torch's or TorchScript's, or anything with modules' attributes.
    fn module_class(&self, object: &Object) -> Option<String> {
        let arena = self.arena;
        let (module, name) = arena.global(object.class)?;
        let is_known =
            ["__torch__", "torch.nn.modules.", "torch.ao.nn."].iter().any(|it| module.starts_with(it));
        let has = |own| object.state.is_some_and(|state| arena.value(state, own).is_some());
        (is_known || OWN.iter().any(|own| has(own))).then(|| name.into_owned())
    }

    fn visit_made(&mut self, made: Made, class: Class<'_>) -> Result<bool> {
        match made {
            Made::Tensor(tensor) => self.add(*tensor, class),
            Made::Same(id) => self.visit(id, class),
            Made::Parts(parts, reason) => {
                let mut found = false;
                for (name, part) in parts {
                    found |= self.visit_named(name, part, class)?;
                }
                let name = self.name().to_owned();
                self.catalogue.warn(&name, WarningKind::Odd, reason)?;
                Ok(found)
            }
            Made::Wrapper(wrapper, state) => {
                let found = self.visit_attributes(state, None)?;
                let message = format!("unsupported: {wrapper}; the tensors inside are shown as they are");
                let name = self.name().to_owned();
                self.catalogue.warn(&name, WarningKind::Unsupported, &one_line(&message))?;
                Ok(found)
            }
        }
    }

    /// What a tensor here is called. One that is all there is has no path.
    fn name(&self) -> &str {
        if self.path.is_empty() { "tensor" } else { &self.path }
    }

    fn add(&mut self, mut tensor: Tensor, class: Class<'_>) -> Result<bool> {
        self.charge(1)?;
        let name = self.name().to_owned();
        let found = self.pickled.find(&mut tensor, self.arena, self.catalogue);
        found.map_err(|error| error.in_tensor(&name))?;
        let quantizer = tensor.quantizer;
        let role = self.role.or_else(|| self.in_buffers.then(|| role_of_buffer(&name, &tensor.shape)));
        let id = self.catalogue.add(&name, tensor, self.storages, role, class.map(str::to_owned))?;
        if let Some(quantizer) = quantizer {
            self.describe(id, &name, quantizer).map_err(|error| error.in_tensor(&name))?;
        }
        Ok(true)
    }

    /// Says how the codes of a parameter become numbers. Scales of channels are parameters of their own.
    fn describe(&mut self, id: ParameterId, name: &str, quantizer: Quantizer) -> Result<()> {
        let one = |value| Operand::One { value, parameter: None };
        let (scheme, granularity, scale, zero_point) = match quantizer {
            Quantizer::PerTensor { scale, zero_point } => {
                ("per_tensor_affine", Granularity::Tensor, one(scale), one(zero_point))
            }
            Quantizer::PerChannel { scales, zero_points, axis } => {
                let channels = self.catalogue.model.parameter(id).shape.dims().get(axis).copied();
                let channels = channels.ok_or_else(|| Error::malformed(format!("it has no axis {axis}")))?;
                let scale = self.add_operand(&format!("{name}_scale"), scales, Role::Scale, channels)?;
                let zero_point =
                    self.add_operand(&format!("{name}_zero_point"), zero_points, Role::ZeroPoint, channels)?;
                ("per_channel_affine", Granularity::Axis(axis), scale, zero_point)
            }
        };
        let parameter = &mut self.catalogue.model.parameters[id.index()];
        parameter.quantization = QuantDescriptor::of_stored(
            Encoding::Torch,
            scheme,
            parameter.dtype,
            granularity,
            scale,
            Some(zero_point),
        );
        Ok(())
    }

    /// Adds the scales or the zero-points of channels: a tensor, or a list of numbers.
    fn add_operand(&mut self, name: &str, id: NodeId, role: Role, channels: u64) -> Result<Operand> {
        let made = match self.arena.object(id) {
            Some(object) => made(self.arena, &object, self.catalogue.limits.rank)?,
            None => None,
        };
        let tensor = match made {
            Some(Made::Tensor(tensor)) => *tensor,
            _ => self.list_of_numbers(id)?,
        };
        if tensor.shape.dims() != [channels] {
            let message = format!("{channels} channels, but scales or zero-points of {}", tensor.shape);
            return Err(Error::malformed(message));
        }
        let id = self.catalogue.add(name, tensor, self.storages, Some(role), None)?;
        Ok(Operand::Parameter(id))
    }

    fn list_of_numbers(&self, id: NodeId) -> Result<Tensor> {
        let items = self.arena.items(id).unwrap_or_default();
        let numbers: Option<Vec<f64>> = items.iter().map(|&item| self.arena.float(item)).collect();
        let numbers = numbers.ok_or_else(|| Error::malformed("its scales or zero-points are no numbers"))?;
        Ok(Tensor {
            dtype: DType::F64,
            shape: Shape::vector(numbers.len() as u64),
            strides: vec![1],
            offset: 0,
            values: Values::Inline(numbers.iter().flat_map(|number| number.to_le_bytes()).collect()),
            quantizer: None,
            remark: None,
        })
    }

    fn is_quantized(&self, id: NodeId) -> bool {
        let object = self.arena.object(id);
        object.is_some_and(|it| self.arena.is_global(it.class, "torch._utils", "_rebuild_qtensor"))
    }

    /// Pays for values that are looked at: shared ones are met again and again.
    fn charge(&mut self, cost: usize) -> Result<()> {
        let left = self.catalogue.visits.checked_sub(cost + 1);
        self.catalogue.visits = left.ok_or_else(|| {
            let most = self.catalogue.limits.pickle_items;
            Error::limit(format!("values that refer to each other in more than {most} ways"))
                .of_limit("pickle_items")
        })?;
        Ok(())
    }

    /// Notes a number or a text near the top: steps, losses, settings.
    fn note(&mut self, name: &str, value: NodeId, class: Class<'_>) {
        const MOST: usize = 256;
        let metadata = &mut self.catalogue.model.metadata;
        if class.is_some() || self.names >= 2 || self.path.len() + name.len() > MOST || metadata.len() >= MOST
        {
            return;
        }
        if let Some(text) = describe(self.arena, value) {
            let dot = if self.path.is_empty() { "" } else { "." };
            metadata.insert(format!("{}{dot}{name}", self.path), text);
        }
    }
}

/// A short value in words.
fn describe(arena: &Arena, id: NodeId) -> Option<String> {
    const LONG: usize = 256;
    match arena.node(id) {
        Node::Bool(value) => Some(value.to_string()),
        Node::Int(value) => Some(value.to_string()),
        Node::Float(value) => Some(value.to_string()),
        Node::Text(span) if (span.len as usize) <= LONG => arena.text(id).map(|text| text.into_owned()),
        Node::Text(_) | Node::Bytes(_) | Node::Dict(_) => None,
        _ => {
            let items = arena.items(id).filter(|items| (1..=8).contains(&items.len()))?;
            let numbers: Option<Vec<String>> = items
                .iter()
                .map(|&item| match arena.node(item) {
                    Node::Int(value) => Some(value.to_string()),
                    Node::Float(value) => Some(value.to_string()),
                    _ => None,
                })
                .collect();
            numbers.map(|numbers| format!("[{}]", numbers.join(", ")))
        }
    }
}

fn role_of_buffer(name: &str, shape: &Shape) -> Role {
    role_from_name(name, shape).filter(|role| !role.is_learnt()).unwrap_or(Role::Constant)
}
