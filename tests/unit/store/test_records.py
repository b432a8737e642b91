"""A topology in the database: JSON that earlier releases wrote is read, and the form stays."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from math import inf
from pathlib import Path

import pytest

from im.data_files import data_folder
from im.sources.load import load
from im.store.records import InfrastructureRecord, infrastructure, infrastructure_row
from im.topology.model import (
    Finding,
    Hardware,
    InputDefinition,
    Mark,
    Network,
    NodeGroup,
    OperatingSystem,
    Operation,
    Output,
    Port,
    Software,
    Topology,
    Volume,
)

TOPOLOGY = Topology(
    description='é "quoted"\n\\ \x00 😀',
    user="alice",
    groups=(
        NodeGroup(
            "worker",
            type="im.nodes.Worker",
            count=0,
            min_count=0,
            max_count=9,
            hardware=Hardware(4, 8 << 30, 1 << 50, 1, "m1.large"),
            os=OperatingSystem("debian-12", "x86_64", "linux", "debian", "12"),
            networks=("private",),
            public=True,
            ports=(Port(80, 81, "udp", "192.0.2.0/24"),),
            works=False,
            shared=("/home",),
            on_failure="replace",
            removal_list=("worker-2",),
            volumes=(Volume("data", 1 << 40, "/data", "xfs", "vol-1"),),
            availability_zone="az-1",
            placement="soft-anti-affinity",
            boot_volume=20 << 30,
            user_data="#!/bin/sh\n",
            key_pair="alice",
            host_name="node",
            mark=Mark("a.yaml", 3, 7),
        ),
    ),
    networks=(Network("private", public=False, cidr="10.0.0.0/24", existing="lan"),),
    software=(
        Software(
            "mpi",
            "im.nodes.OpenMPI",
            "worker",
            1,
            (Operation("mpi", "configure", "playbook", "/p.yaml", {"n": {"get_attribute": ["SELF", 0]}}, Mark("b")),),
            {"mpi": {"family": "openmpi", "pmix": True, "version": 4.1, "none": None}},
            Mark("b", 2),
        ),
    ),
    roles={"geerlingguy.nfs": ""},
    outputs=(Output("address", {"concat": ["http://", {"get_attribute": ["worker", "ip"]}]}, "Where"),),
    inputs={"great": 10**30, "small": -(2**63), "float": 1e20, "whole": 1.0, "on": False, "list": [1, [None, {}]]},
    input_definitions=(InputDefinition("count", "integer", "How many", 1, required=True),),
    warnings=(Finding(Mark("a.yaml"), "c", "m", "h", "warning"),),
)

WRITTEN_BY_AN_EARLIER_RELEASE = r"""
{"description":"é \"quoted\"\n\\ \u0000 😀","user":"alice",
"groups":[{"name":"worker","type":"im.nodes.Worker","count":0,"min_count":0,"max_count":9,
"hardware":{"cpus":4,"memory":8589934592,"disk":1125899906842624,"gpus":1,"flavor":"m1.large"},
"os":{"image":"debian-12","architecture":"x86_64","type":"linux","distribution":"debian","version":"12"},
"networks":["private"],"public":true,
"ports":[{"first":80,"last":81,"protocol":"udp","remote_cidr":"192.0.2.0/24"}],
"front_end":false,"works":false,"shared":["/home"],
"on_failure":"replace","removal_list":["worker-2"],
"volumes":[{"name":"data","size":1099511627776,"mount":"/data","file_system":"xfs","existing":"vol-1"}],
"availability_zone":"az-1","placement":"soft-anti-affinity","boot_volume":21474836480,"user_data":"#!/bin/sh\n",
"key_pair":"alice","host_name":"node","mark":{"file":"a.yaml","line":3,"column":7}}],
"networks":[{"name":"private","public":false,"cidr":"10.0.0.0/24","existing":"lan"}],
"software":[{"name":"mpi","type":"im.nodes.OpenMPI","host":"worker","level":1,
"operations":[{"software":"mpi","name":"configure","kind":"playbook","implementation":"/p.yaml",
"inputs":{"n":{"get_attribute":["SELF",0]}},"mark":{"file":"b","line":1,"column":1}}],
"provides":{"mpi":{"family":"openmpi","pmix":true,"version":4.1,"none":null}},"mark":{"file":"b","line":2,"column":1}}],
"roles":{"geerlingguy.nfs":""},
"outputs":[{"name":"address","value":{"concat":["http://",{"get_attribute":["worker","ip"]}]},"description":"Where"}],
"inputs":{"great":1000000000000000000000000000000,"small":-9223372036854775808,"float":1e+20,
"whole":1.0,"on":false,"list":[1,[null,{}]]},
"input_definitions":[{"name":"count","type":"integer","description":"How many","default":1,"required":true}],
"warnings":[{"mark":{"file":"a.yaml","line":1,"column":1},"code":"c","message":"m","hint":"h","severity":"warning"}]}
"""
"""By one that used pydantic."""


def stored(topology):
    return infrastructure_row(InfrastructureRecord("0000000a", "demo", "fake", topology=topology))


def back(row):
    return infrastructure(row).topology


def test_a_topology_of_an_earlier_release_is_read():
    assert back(stored(None) | {"topology": WRITTEN_BY_AN_EARLIER_RELEASE}) == TOPOLOGY


def test_the_form_of_the_json_stays():
    assert json.loads(stored(TOPOLOGY)["topology"]) == json.loads(WRITTEN_BY_AN_EARLIER_RELEASE)


def test_what_only_one_of_two_releases_knows_is_left_out():
    text = '{"user": "alice", "no_more": 1, "groups": [{"name": "front", "no_more": {}}]}'
    assert back(stored(None) | {"topology": text}) == Topology(user="alice", groups=(NodeGroup("front"),))


def test_a_topology_comes_back_as_it_was_written():
    assert back(stored(TOPOLOGY)) == TOPOLOGY


@pytest.mark.parametrize("path", sorted(data_folder("tosca_templates").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_template_comes_back_as_it_was_read(path):
    topology = load(path, {})
    assert back(stored(topology)) == topology


def test_the_defaults_of_inputs_come_back_as_they_were_read(tmp_path):
    (tmp_path / "a.yaml").write_text(
        """
        tosca_definitions_version: tosca_simple_yaml_1_3
        topology_template:
          inputs:
            ratio: {type: float, default: 1.50}
            table: {type: map, default: {yes: 1.10, 2: [0xffffffffffffffffffff, null]}}
          node_templates:
            front: {type: tosca.nodes.Compute}
        """
    )
    topology = load(tmp_path / "a.yaml", {})
    assert back(stored(topology)) == topology
    ratio, table = topology.input_definitions
    assert (ratio.default, table.default) == (1.5, {"True": 1.1, "2": [16**20 - 1, None]})


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (date(2030, 1, 2), "2030-01-02"),
        (datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), "2030-01-02T03:04:05Z"),
        (Path("/srv"), "/srv"),
        ({"a"}, ["a"]),
        (("a", 1), ["a", 1]),
        (inf, None),
        ({1: "a", 1.5: "b"}, {"1": "a", "1.5": "b"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_json_does_not_know_becomes_one_that_it_knows(value, read):
    assert back(stored(replace(TOPOLOGY, inputs={"x": value}))).inputs == {"x": read}
