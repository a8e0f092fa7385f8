"""Open the engine that `params.yaml` names."""

from __future__ import annotations

from refusal_stability.engines.protocol import Engine, EngineError
from refusal_stability.params.engines import ModelParams, engine_settings
from refusal_stability.params.engines.settings import ENGINES


def open_engine(model: ModelParams, where: str) -> Engine:
    """The engine that `params.yaml` names for a model; `where` is the model's key, for error messages."""
    settings = engine_settings(model, where)
    if model.engine == "transformers":
        from refusal_stability.engines.transformers import TransformersEngine

        return TransformersEngine(model, settings)
    if model.engine == "vllm":
        from refusal_stability.engines.vllm import VLLMEngine

        return VLLMEngine(model, settings, where)
    if model.engine == "openai":
        if settings.batch:
            from refusal_stability.engines.http.batch.engine import BatchEngine

            return BatchEngine(model, settings, where)
        from refusal_stability.engines.http.engine import HTTPEngine

        return HTTPEngine(model, settings, where)
    if model.engine == "ray":
        from refusal_stability.engines.ray import RayEngine

        return RayEngine(model, settings, where, open_engine)
    if model.engine == "recorded":
        from refusal_stability.engines.recorded import RecordedEngine

        return RecordedEngine(model, settings, where)
    raise EngineError(f"{where}.engine: {model.engine!r} is not an engine; one of {', '.join(ENGINES)}")
