"""A server on this machine that answers what the client of the Materials Project asks.

Its documents are made by the models of emmet that the real one's are made by.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import (
    ComputedStructureEntry,
    ConstantEnergyAdjustment,
)

KEY = "k" * 32
VERSION = "2026.10.1"
TITLES = {"Na": "PAW_PBE Na_pv 19Sep2006", "Cl": "PAW_PBE Cl 06Sep2000"}


def entry(number, formula, ev_per_atom, functional="R2SCAN", *, correction=0.0):
    """Return an entry of a made-up crystal; `functional` is its thermo type."""
    composition = Composition(formula)
    species = [el.symbol for el, n in composition.items() for _ in range(int(n))]
    places = [[(i + 1) / (len(species) + 1), 0.1 * i, 0.2 * i] for i in range(len(species))]
    run_type = "r2SCAN" if functional == "R2SCAN" else "GGA"
    adjustments = (
        [ConstantEnergyAdjustment(correction, name="anion", description="of these tests")]
        if correction
        else []
    )
    return ComputedStructureEntry(
        Structure(Lattice.cubic(4.0 + number % 3), species, places),
        ev_per_atom * len(species),
        energy_adjustments=adjustments,
        parameters={
            "run_type": run_type,
            "hubbards": {},
            "potcar_spec": [{"titel": TITLES[el.symbol], "hash": None} for el in composition],
        },
        data={"oxidation_states": {"Na": 1.0, "Cl": -1.0} if formula == "NaCl" else {},
              "material_id": f"mp-{number}"},
        entry_id=f"mp-{number}-{run_type}",
    )  # fmt: skip


def thermo_document(made, functional="R2SCAN"):
    """Return what the endpoint of thermodynamics sends of an entry."""
    run_type = made.parameters["run_type"]
    material = str(made.data["material_id"])
    return {
        "material_id": material,
        "thermo_id": f"{material}_{functional}",
        "thermo_type": functional,
        "chemsys": made.composition.chemical_system,
        "entries": {run_type: json.loads(made.to_json())},
    }


class PhaseServer:
    """Runs in a thread; `fails` makes it answer with an error."""

    def __init__(self, documents):
        self.documents = documents
        self.fails: tuple[int, str] | None = None
        self.asked: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request):
        url = urlparse(request.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path.rstrip("/").endswith("heartbeat"):
            self._send(request, 200, {
                "status": "OK", "db_version": VERSION, "access_controlled_batch_ids": [],
                "version": "0.90.0",
            })  # fmt: skip
            return
        self.asked.append(query | {"path": url.path, "key": request.headers.get("x-api-key", "")})
        if not self.asked[-1]["key"]:
            self._send(request, 401, {"message": "No API key found in request"})
            return
        if self.fails is not None:
            code, message = self.fails
            self._send(request, code, {"detail": message})
            return
        systems = set(query.get("chemsys", "").split(","))
        types = set(query.get("thermo_types", "").upper().split(","))  # mp-api asks for r2SCAN
        found = [d for d in self.documents if d["chemsys"] in systems and d["thermo_type"] in types]
        skip, limit = int(query.get("_skip", 0)), int(query.get("_limit", 1000))
        body = {"data": found[skip : skip + limit], "meta": {"total_doc": len(found)}}
        self._send(request, 200, body)

    @staticmethod
    def _send(request, code, body):
        data = json.dumps(body).encode()
        request.send_response(code)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)
