#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Run the end-to-end tests and speak TAP: all that are meant for this build, or those named.

usage: run.py [--build DIR] [--jobs N] [--keep] [--list] [PART-OF-A-NAME...]
"""
import argparse
import importlib
import os
import sys

import harness

# Those that take long come first, so that the last ones need not be waited for.
MODULES = ('load', 'hostile', 'attacks', 'soak', 'torture', 'calls', 'invited', 'diverted', 'removed', 'softphones', 'kms_trouble', 'watched',
           'scscf', 'independent', 'refusals', 'clauses', 'operator', 'whole')


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1].strip())
    parser.add_argument('--build', default=os.path.join(harness.TOP, 'build'))
    parser.add_argument('--keep', action='store_true', help='keep the folders with the logs')
    parser.add_argument('--jobs', type=int, default=3, help='tests at a time (3)')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('patterns', nargs='*')
    a = parser.parse_args()
    for name in MODULES:
        importlib.import_module('cases.' + name)
    if a.list:
        for sentence, _ in harness.tests:
            print(sentence)
        return 0
    return 1 if harness.run(os.path.abspath(a.build), a.patterns, a.keep, a.jobs) else 0


if __name__ == '__main__':
    sys.exit(main())
