#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Run the end-to-end tests and speak TAP: all that are meant for this build, or those named.

usage: run.py [--build DIR] [--jobs N] [--keep] [--rest] [--list] [PART-OF-A-NAME...]
"""
import argparse
import importlib
import os
import sys

import harness

# Those that take long come first, so that the last ones need not be waited for.
# Run in both builds also when the sanitized one has run everything.
TWICE = ('calls', 'independent', 'softphones', 'scscf', 'whole')
FIRST = ('load', 'hostile', 'attacks', 'soak', 'torture', 'whole')


def modules():
    """All of cases/."""
    names = sorted(name[:-3] for name in os.listdir(os.path.join(harness.HERE, 'cases'))
                   if name.endswith('.py') and name != '__init__.py')
    return [*FIRST, *(name for name in names if name not in FIRST)]


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1].strip())
    parser.add_argument('--build', default=os.path.join(harness.TOP, 'build'))
    parser.add_argument('--keep', action='store_true', help='keep the folders with the logs')
    parser.add_argument('--jobs', type=int, default=3, help='tests at a time (3)')
    parser.add_argument('--rest', action='store_true',
                        help='what the sanitized build does not run, and the calls that matter most')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('patterns', nargs='*')
    a = parser.parse_args()
    for name in modules():
        importlib.import_module('cases.' + name)
    if a.list:
        for sentence, _ in harness.tests:
            print(sentence)
        return 0
    return 1 if harness.run(os.path.abspath(a.build), a.patterns, a.keep, a.jobs,
                            TWICE if a.rest else None) else 0


if __name__ == '__main__':
    sys.exit(main())
