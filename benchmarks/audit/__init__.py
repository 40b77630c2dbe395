"""How well an audit finds wrong labels, beside what else can be asked without training."""
