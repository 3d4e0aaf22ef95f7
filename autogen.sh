#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make ./configure from configure.ac. Packagers get it ready-made in the tarball.
set -e
cd "$(dirname "$0")"
mkdir -p m4
autoreconf --install --force
