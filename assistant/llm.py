"""Owns the way to a language model: one OpenAI-compatible endpoint, called through LangChain. The only module that imports either.

Whatever the endpoint does, its caller gets text, tool calls or a `PlannerError`, within the question's time. Calls run on
an event loop of their own, so that one that hangs can be abandoned. Knows nothing of questions, models or prompts.
"""

import asyncio
import json
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from functools import cached_property
from time import perf_counter
from typing import Any

import httpx2
import openai
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import LangChainException
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from langsmith import tracing_context
from pydantic import SecretStr

from wenshu.assistant.language_model import Message
from wenshu.assistant.ledger import Ledger, timed_out
from wenshu.assistant.llm_settings import LlmSettings
from wenshu.semantic_layer.cancellation import is_cancelled
from wenshu.semantic_layer.engine import failure
from wenshu.semantic_layer.errors import PlannerError
from wenshu.semantic_layer.text import Text
from wenshu.tools.base import Tool, ToolResult, run_tool

LONGEST_REPLY = 20_000  # characters; a reply that goes on is cut off
MOST_REPLY_TOKENS = 1_000
RETRIES = 2  # of a refused or failed request, with a growing pause
PATIENCE = 0.05  # seconds between two looks at whether the asker has gone

RUBBISH = (ValueError, TypeError, LookupError, AttributeError, RecursionError)  # what a reply of the wrong form leads to
FAILURES = (openai.OpenAIError, LangChainException, httpx2.HTTPError, httpx2.StreamError, OSError, *RUBBISH)

logging.getLogger("langchain_openai").setLevel(logging.ERROR)

_DONE = object()


class Endpoint:
    """Call one model; safe to use from several threads."""

    def __init__(self, settings: LlmSettings) -> None:
        self.settings = settings

    def stream(self, messages: Sequence[Message], ledger: Ledger, schema: dict[str, Any] | None = None) -> Iterator[str]:
        """Yield a reply's text as it comes; with a schema it is asked to be JSON of that form.

        Raises `PlannerError` with code `llm_unreachable`, `llm_refused`, `llm_rate_limited`, `llm_failed`, `llm_timeout`,
        `llm_limit` and `EngineError` with code `cancelled`.
        """
        try:
            yield from self._stream(messages, ledger, schema, strict=True)
        except PlannerError as error:
            if error.code != "llm_request":
                raise
            # Some servers know no schemas, some models no temperature.
            if schema is not None:
                form = f"Answer with one JSON object of this JSON Schema:\n{json.dumps(schema, ensure_ascii=False)}"
                messages = [*messages[:-1], (messages[-1][0], f"{messages[-1][1]}\n{form}")]
            yield from self._stream(messages, ledger, schema, strict=False)

    def complete(self, messages: Sequence[Message], ledger: Ledger, schema: dict[str, Any] | None = None) -> str:
        """Return a whole reply."""
        return "".join(self.stream(messages, ledger, schema))

    def _stream(
        self, messages: Sequence[Message], ledger: Ledger, schema: dict[str, Any] | None, *, strict: bool
    ) -> Iterator[str]:
        sent = tuple(text for _, text in messages)
        ledger.open(sent)
        extra: dict[str, Any] = {}
        if schema is not None:
            form = {"type": "json_schema", "json_schema": {"name": "plan", "strict": True, "schema": schema}}
            extra["response_format"] = form if strict else {"type": "json_object"}
        model = self._chat(0.0 if strict else None)
        usage: dict[str, int] = {}
        received = 0

        async def pieces() -> AsyncIterator[str]:
            async for chunk in model.astream([_message(m) for m in messages], extra_body=extra or None):
                usage.update({k: v for k, v in (chunk.usage_metadata or {}).items() if isinstance(v, int)})
                if text := str(chunk.text):
                    yield text

        try:
            for piece in self._bridged(pieces, ledger):
                received += len(piece)
                yield piece
                if received > LONGEST_REPLY:
                    return
        finally:
            ledger.close(usage, sum(map(len, sent)), received)

    def work(self, system: str, question: str, tools: Sequence[Tool], ledger: Ledger) -> Iterator[ToolResult | str]:
        """Let the model work with tools: yield each tool's result as it comes, and the model's last words.

        At most `settings.steps` calls of the model. Raises as `stream` does.
        """
        from langchain.agents import create_agent
        from langchain.agents.middleware import ModelCallLimitMiddleware

        results: queue.SimpleQueue[ToolResult] = queue.SimpleQueue()
        agent: Any = create_agent(
            self._chat(0.0),
            [_as_langchain(tool, results.put) for tool in tools],
            system_prompt=system,
            middleware=[ModelCallLimitMiddleware(run_limit=self.settings.steps, exit_behavior="end")],
        )
        ledger.open((system, question, *(f"{tool.name}: {tool.description}" for tool in tools)))
        ledger.calls -= 1  # each call of the model is counted as it comes back

        async def messages() -> AsyncIterator[BaseMessage]:
            start = {"messages": [HumanMessage(question)]}
            async for update in agent.astream(start, stream_mode="updates"):
                for change in update.values():
                    for message in (change or {}).get("messages", ()):
                        yield message

        context = len(system) + len(question)
        for message in self._bridged(messages, ledger):
            while not results.empty():
                yield results.get()
            text = str(message.text)
            if isinstance(message, AIMessage):
                ledger.calls += 1 if message.usage_metadata or message.tool_calls or message.id else 0
                ledger.close(dict(message.usage_metadata or {}), context, len(text))  # type: ignore[arg-type]
                ledger.check()
                if not message.tool_calls:
                    yield text[:LONGEST_REPLY]
            elif isinstance(message, ToolMessage):
                ledger.send((text,))
            context += len(text)

    def _chat(self, temperature: float | None) -> ChatOpenAI:
        return ChatOpenAI(
            model=self.settings.model,
            base_url=self.settings.base_url,
            api_key=SecretStr(self.settings.key),
            temperature=temperature,
            max_completion_tokens=MOST_REPLY_TOKENS,
            max_retries=RETRIES,
            timeout=self.settings.seconds,
            stream_usage=True,
            stream_chunk_timeout=None,
            streaming=True,
            http_async_client=self._http,
            callbacks=[_Trace(self.settings)] if self.settings.trace else None,
        )

    # the event loop

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, name="language-model", daemon=True).start()
        return loop

    @cached_property
    def _http(self) -> Any:
        return openai.DefaultAsyncHttpxClient(timeout=self.settings.seconds)

    def _bridged(self, make: Callable[[], AsyncIterator[Any]], ledger: Ledger) -> Iterator[Any]:
        """Yield what an asynchronous stream yields, until the time is over or the asker has gone."""
        news: queue.SimpleQueue[Any] = queue.SimpleQueue()

        async def pump() -> None:
            try:
                async with asyncio.timeout(ledger.seconds_left):
                    with tracing_context(enabled=False):  # nothing goes anywhere but to the endpoint
                        async for item in make():
                            news.put(item)
                news.put(_DONE)
            except TimeoutError:
                news.put(timed_out(self.settings))
            except FAILURES as error:
                news.put(_explained(error, self.settings))

        future = asyncio.run_coroutine_threadsafe(_whole(pump()), self._loop)
        try:
            while True:
                try:
                    item = news.get(timeout=PATIENCE)
                except queue.Empty:
                    if is_cancelled():
                        raise failure("cancelled") from None
                    if ledger.seconds_left < -1:
                        raise timed_out(self.settings) from None
                    if future.done() and news.empty():
                        raise _explained(RuntimeError(), self.settings) from None
                    continue
                if item is _DONE:
                    return
                if isinstance(item, PlannerError):
                    raise item
                yield item
        finally:
            future.cancel()


async def _whole(pump: Coroutine[Any, Any, None]) -> None:
    await pump


def _message(message: Message) -> BaseMessage:
    role, text = message
    kinds: dict[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    return kinds[role](text)


def _as_langchain(tool: Tool, tell: Callable[[ToolResult], None]) -> StructuredTool:
    async def run(**arguments: Any) -> str:
        result = await asyncio.to_thread(run_tool, tool, arguments)
        tell(result)
        return result.for_model

    return StructuredTool(name=tool.name, description=tool.description, args_schema=tool.arguments, coroutine=run)


# What people may know of a failure, by its class, the first that fits: never the server's own words, which may quote the key.
EXPLAINED: tuple[tuple[tuple[type[Exception], ...], str, Text, Text], ...] = (
    (
        (openai.RateLimitError,), "llm_rate_limited",
        Text("The language model's server takes no more requests for now.", "大模型服务暂时限流。"),
        Text("Ask again in a while.", "请稍后再试。"),
    ),
    (
        (openai.AuthenticationError, openai.PermissionDeniedError), "llm_refused",
        Text("The language model's server refused the key.", "大模型服务拒绝了密钥。"),
        Text("Look at OPENAI_API_KEY.", "请检查 OPENAI_API_KEY。"),
    ),
    (
        (openai.NotFoundError,), "llm_refused",
        Text("The server does not know this language model.", "服务上没有这个大模型。"),
        Text("Look at WENSHU_MODEL and OPENAI_BASE_URL.", "请检查 WENSHU_MODEL 与 OPENAI_BASE_URL。"),
    ),
    (
        (openai.BadRequestError, openai.UnprocessableEntityError), "llm_request",
        Text("The language model's server refused the request.", "大模型服务拒绝了请求。"),
        Text("Look at WENSHU_MODEL; the model may be too small for the prompt.", "请检查 WENSHU_MODEL；模型上下文可能不够长。"),
    ),
    (
        (openai.APIConnectionError, httpx2.ConnectError), "llm_unreachable",
        Text("The language model cannot be reached.", "无法连接大模型服务。"),
        Text("Look at OPENAI_BASE_URL and whether the server runs.", "请检查 OPENAI_BASE_URL 以及服务是否在运行。"),
    ),
    (
        (Exception,), "llm_failed",
        Text("The language model's server gave no usable reply.", "大模型服务没有返回可用的结果。"),
        Text("Look at OPENAI_BASE_URL and whether the server runs.", "请检查 OPENAI_BASE_URL 以及服务是否在运行。"),
    ),
)  # fmt: skip


def _explained(error: Exception, settings: LlmSettings) -> PlannerError:
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        return timed_out(settings)
    return next(PlannerError(code, *said) for classes, code, *said in EXPLAINED if isinstance(error, classes))


class _Trace(BaseCallbackHandler):
    """Write what is asked and answered to a local file, one JSON object a line."""

    def __init__(self, settings: LlmSettings) -> None:
        self._path = settings.trace
        self._started = perf_counter()

    def on_chat_model_start(self, serialized: Any, messages: list[list[BaseMessage]], **kwargs: Any) -> None:
        self._write("asked", [[message.type, str(message.text)] for batch in messages for message in batch])

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self._write("answered", [generation.text for batch in response.generations for generation in batch])

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self._write("failed", type(error).__name__)

    def on_tool_start(self, serialized: Any, input_str: str, **kwargs: Any) -> None:
        self._write("tool", [(serialized or {}).get("name"), input_str])

    def _write(self, event: str, content: Any) -> None:
        line = {"seconds": round(perf_counter() - self._started, 3), "event": event, "content": content}
        try:
            with open(str(self._path), "a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        except OSError:
            return
