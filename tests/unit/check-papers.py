#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Is every function and file that the papers name really there, and every file in the tarball?

Speaks TAP.

The papers are found beside the source; a function is `name()` in backquotes, a file is a path
below src, plugins, tests or scripts. PROTOCOLS.md names tests besides: `/room/name` of "make check"
and *sentences* of the end-to-end tests.
"""
import os
import re
import subprocess
import sys

TOP = os.environ.get('G_TEST_SRCDIR') or os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                      '..', '..')
PAPERS = ('doc/MAP.md', 'doc/PROTOCOLS.md', 'HACKING.md', 'README.md', 'CONTRIBUTING.md')


def read(path):
    with open(os.path.join(TOP, path), encoding='utf-8') as file:
        return file.read()


def source():
    """All C text of the tree."""
    text = []
    for root in ('src', 'plugins'):
        for folder, _, names in os.walk(os.path.join(TOP, root)):
            text += [read(os.path.join(folder, n)) for n in sorted(names) if n.endswith('.c')]
    return '\n'.join(text)


def missing_functions(paper, code):
    # A definition begins in column 0, or names the function in a table of another room.
    names = sorted(set(re.findall(r'`([a-z_][a-z0-9_]+)\(\)`', paper)))
    return [name for name in names
            if not re.search(r'(?m)^%s\(|^EXPORTED.*\b%s\(' % (name, name), code)
            and name not in ('sdp_parse',)]


def missing_files(paper):
    paths = sorted(set(re.findall(r'`((?:src|plugins|tests|scripts|doc)/[\w./-]*\w)`', paper)))
    return [path for path in paths
            if not re.search(r'[A-Z]', os.path.dirname(path)) and 'X' not in path
            and not os.path.exists(os.path.join(TOP, path))]


def misplaced_functions(paper):
    """`name()` in `file`: is it there?"""
    return [f'{name} in {path}' for name, path in
            re.findall(r'`([a-z_][a-z0-9_]+)\(\)`\s+in\s+`((?:src|plugins)/[\w./-]+\.c)`', paper)
            if os.path.exists(os.path.join(TOP, path)) and
            not re.search(r'(?m)^(?:EXPORTED.*\b)?%s\(' % name, read(path))]


def tests_text():
    """All that names tests: C sources, transcripts, end-to-end cases."""
    text, transcripts, sentences = [], set(), set()
    for folder, _, names in os.walk(os.path.join(TOP, 'tests')):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.endswith(('.c', '.json')):
                text.append(read(path))
            elif os.path.basename(folder) == 'transcripts':
                transcripts.add(name.partition('.')[0])
            elif os.path.basename(folder) == 'cases' and name.endswith('.py'):
                sentences |= {found.replace("\\'", "'") for found in
                              re.findall(r"(?m)^@test\('((?:[^'\\]|\\.)*)'", read(path))}
    return '\n'.join(text), transcripts, sentences


def missing_tests(paper):
    text, transcripts, sentences = tests_text()
    paths = set(re.findall(r'`/[a-z-]+/([^`]+)`', paper))
    names = sorted({path.rpartition('/')[2] for path in paths})
    gone = [name for name in names
            if name not in transcripts and
            not re.search(r'["/]%s"|\b%s\b' % (re.escape(name), name.replace('-', '_')), text)]
    prose = re.findall(r'(?<![*\w])\*([^*\n]{12,})\*(?!\*)', paper)
    return gone + [sentence for sentence in prose if sentence not in sentences]


def not_distributed():
    """Files of the checkout that no makefile names, by themselves or by their folder."""
    tracked = subprocess.run(['git', 'ls-files', '-z'], cwd=TOP, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
    if tracked.returncode != 0:
        return []  # a tarball: what is not there cannot be missed here
    paths = [path for path in tracked.stdout.split('\0') if path and not path.startswith('.')]
    named = set()
    for path in paths:
        if os.path.basename(path) in ('Makefile.am', 'local.mk'):
            folder = os.path.dirname(path)
            named |= {word.replace('%D%', folder).lstrip('/')
                      for word in re.split(r'[\s=]+', read(path))}

    def is_named(path):
        if path in named or path.endswith('.c') and path[:-2] in named:
            return True  # a program's only source may go without saying
        folder = os.path.dirname(path)  # a top folder's name is just a word
        while '/' in folder and folder not in named:
            folder = os.path.dirname(folder)
        return '/' in folder
    automatic = ('Makefile.am', 'configure.ac', 'NEWS', 'README.md', 'src/libmikey/libmikey.pc.in')
    return [path for path in paths if not is_named(path) and path not in automatic and
            os.path.basename(path) != 'local.mk']


def main():
    code = source()
    print(f'1..{len(PAPERS) + 1}')
    failed = 0
    for number, path in enumerate(PAPERS, 1):
        paper = read(path)
        missing = missing_functions(paper, code) + missing_files(paper) + misplaced_functions(paper)
        if path == 'doc/PROTOCOLS.md':
            missing += missing_tests(paper)
        print(f'{"not ok" if missing else "ok"} {number} - {path} names what is there')
        if missing:
            failed += 1
            print('# not found: ' + ', '.join(missing))
    forgotten = not_distributed()
    print(f'{"not ok" if forgotten else "ok"} {len(PAPERS) + 1} - the tarball has every file')
    if forgotten:
        print('# named by no makefile: ' + ', '.join(forgotten))
    return 1 if failed or forgotten else 0


if __name__ == '__main__':
    sys.exit(main())
