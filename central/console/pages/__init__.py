"""One module a subject; `central.console.registry` names them all."""
