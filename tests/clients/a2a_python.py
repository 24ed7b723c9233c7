"""The official Python SDK of A2A against a mesh.

Serves an agent of its own with the SDK's server, in both bindings, registers it
in the mesh, and talks to it through the mesh as a client with a bearer token:
sends, streams, gets and cancels. Each step that holds is a line of JSON; the
first that does not ends the script with 1.

Environment: KGENTS_MESH (URL), KGENTS_TOKEN (of the operator),
KGENTS_OTHER_TOKEN (of somebody else).
"""

import asyncio
import json
import os
import socket
import uuid

import httpx
import uvicorn
from a2a.client import ClientConfig, ClientFactory
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import (
    create_agent_card_routes,
    create_jsonrpc_routes,
    create_rest_routes,
)
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import a2a_pb2 as a2a
from a2a.utils.errors import TaskNotFoundError
from starlette.applications import Starlette

BINDINGS = ["JSONRPC", "HTTP+JSON"]
DONE = a2a.TASK_STATE_COMPLETED


class Counter(AgentExecutor):
    """Counts as far as it is told, a number an artifact chunk; `wait` begins a
    task that works until it is cancelled; anything else is said back."""

    async def execute(self, context: RequestContext, event_queue) -> None:
        """Answers one message."""
        text = context.get_user_input()
        if not text.startswith(("count", "wait")):
            reply = a2a.Message(
                message_id=str(uuid.uuid4()),
                role=a2a.ROLE_AGENT,
                parts=[a2a.Part(text=f"you said {text}")],
            )
            await event_queue.enqueue_event(reply)
            return
        task = a2a.Task(
            id=context.task_id,
            context_id=context.context_id,
            status=a2a.TaskStatus(state=a2a.TASK_STATE_SUBMITTED),
            history=[context.message],
        )
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.start_work()
        if text.startswith("wait"):
            await asyncio.Event().wait()
        for number in range(1, int(text.split()[1]) + 1):
            await updater.add_artifact(
                [a2a.Part(text=str(number))], artifact_id=f"number-{number}"
            )
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue) -> None:
        """Ends a task that waits."""
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.cancel()


def card_of(base: str) -> a2a.AgentCard:
    """The agent's card, in both bindings."""
    urls = {"JSONRPC": f"{base}/rpc", "HTTP+JSON": f"{base}/rest"}
    return a2a.AgentCard(
        name="python-counter",
        description="Counts up to a number.",
        version="1.0.0",
        supported_interfaces=[
            a2a.AgentInterface(
                url=urls[binding], protocol_binding=binding, protocol_version="1.0"
            )
            for binding in BINDINGS
        ],
        capabilities=a2a.AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[
            a2a.AgentSkill(
                id="count",
                name="Count",
                description="Counts up to a number.",
                tags=["numbers"],
                examples=["count 3"],
            )
        ],
    )


async def serve() -> tuple[uvicorn.Server, asyncio.Task, str]:
    """Serves the agent on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    card = card_of(base)
    handler = DefaultRequestHandler(
        agent_executor=Counter(), task_store=InMemoryTaskStore(), agent_card=card
    )
    app = Starlette(
        routes=[
            *create_agent_card_routes(card),
            *create_jsonrpc_routes(handler, "/rpc"),
            *create_rest_routes(handler, path_prefix="/rest"),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    return server, serving, f"{base}/.well-known/agent-card.json"


def http_client(token: str | None) -> httpx.AsyncClient:
    """An HTTP client that shows this token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(headers=headers, timeout=30, trust_env=False)


async def client_of(mesh: str, token: str, binding: str, streaming: bool):
    """An SDK client for the agent, from the card that the mesh serves."""
    config = ClientConfig(
        httpx_client=http_client(token),
        supported_protocol_bindings=[binding],
        streaming=streaming,
    )
    return await ClientFactory(config).create_from_url(f"{mesh}/agents/python-counter")


def request(text: str, at_once: bool = False) -> a2a.SendMessageRequest:
    """A message of one text part."""
    message = a2a.Message(
        message_id=str(uuid.uuid4()), role=a2a.ROLE_USER, parts=[a2a.Part(text=text)]
    )
    configuration = a2a.SendMessageConfiguration(return_immediately=at_once)
    return a2a.SendMessageRequest(message=message, configuration=configuration)


async def refused(awaitable, wanted: type[Exception]) -> Exception:
    """What was raised; something else than `wanted`, or nothing, is a failure."""
    try:
        await awaitable
    except wanted as error:
        return error
    raise AssertionError(f"no {wanted.__name__} was raised")


class Script:
    """The steps over one binding."""

    def __init__(self, mesh: str, binding: str):
        self.mesh = mesh
        self.binding = binding

    def done(self, step: str, **facts) -> None:
        """Tells that a step held."""
        print(json.dumps({"step": f"{self.binding} {step}", **facts}), flush=True)

    async def run(self) -> None:
        """All steps."""
        mine, other = os.environ["KGENTS_TOKEN"], os.environ["KGENTS_OTHER_TOKEN"]
        streaming = await client_of(self.mesh, mine, self.binding, True)
        whole = await client_of(self.mesh, mine, self.binding, False)
        eve = await client_of(self.mesh, other, self.binding, False)
        async with streaming, whole, eve:
            await self.card(mine)
            await self.send(whole)
            task = await self.stream(streaming)
            await self.tasks(whole, eve, task)
        await self.no_identity()

    async def card(self, token: str) -> None:
        """The card leads to the mesh, and nowhere else."""
        async with http_client(token) as http:
            path = "/agents/python-counter/.well-known/agent-card.json"
            card = (await http.get(self.mesh + path)).json()
        for interface in card["supportedInterfaces"]:
            assert interface["url"] == f"{self.mesh}/agents/python-counter", card
        bindings = [one["protocolBinding"] for one in card["supportedInterfaces"]]
        assert bindings == BINDINGS, card
        self.done("card")

    async def send(self, client) -> None:
        """A message is answered by a message."""
        answers = [answer async for answer in client.send_message(request("hello"))]
        assert len(answers) == 1, answers
        assert answers[0].message.parts[0].text == "you said hello", answers
        self.done("send")

    async def stream(self, client) -> str:
        """A task is streamed from its beginning to its end."""
        kinds, texts, task = [], [], ""
        async for event in client.send_message(request("count 3")):
            kind = event.WhichOneof("payload")
            kinds.append(kind)
            if kind == "task":
                task = event.task.id
            if kind == "artifact_update":
                texts += [part.text for part in event.artifact_update.artifact.parts]
            if kind == "status_update":
                last = event.status_update.status.state
        assert kinds[0] == "task", kinds
        assert texts == ["1", "2", "3"], texts
        assert last == DONE, last
        self.done("stream", events=len(kinds))
        return task

    async def tasks(self, mine, eve, finished: str) -> None:
        """Tasks are read and cancelled by their owner alone."""
        got = await mine.get_task(a2a.GetTaskRequest(id=finished))
        assert got.status.state == DONE, got
        assert [part.text for one in got.artifacts for part in one.parts] == ["1", "2", "3"]
        self.done("get")
        begun = [answer async for answer in mine.send_message(request("wait", at_once=True))]
        task = begun[0].task.id
        assert task, begun
        await refused(eve.get_task(a2a.GetTaskRequest(id=task)), TaskNotFoundError)
        await refused(eve.cancel_task(a2a.CancelTaskRequest(id=task)), TaskNotFoundError)
        self.done("not-the-owner")
        cancelled = await mine.cancel_task(a2a.CancelTaskRequest(id=task))
        assert cancelled.status.state == a2a.TASK_STATE_CANCELED, cancelled
        self.done("cancel")
        await refused(mine.get_task(a2a.GetTaskRequest(id="nothing")), TaskNotFoundError)
        self.done("unknown-task")

    async def no_identity(self) -> None:
        """Nobody gets in without a token."""
        error = await refused(
            client_of(self.mesh, "", self.binding, False), Exception
        )
        assert "401" in repr(error), error
        self.done("no-identity")


async def main() -> None:
    """Serve, register, talk."""
    mesh = os.environ["KGENTS_MESH"]
    server, serving, card_url = await serve()
    try:
        async with http_client(os.environ["KGENTS_TOKEN"]) as http:
            answer = await http.post(f"{mesh}/v1/agents", json={"url": card_url})
            assert answer.status_code == 200, answer.text
        for binding in BINDINGS:
            await Script(mesh, binding).run()
    finally:
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main())
