#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measure which tones a recording holds (Python stdlib only).

usage: tonecheck.py FILE [--has HZ[:MINDB]]... [--not HZ[:MAXDB]]... [options]

  --has 440          tone must be there: at least -30 dBFS (or the level given: --has 440:-25)
  --not 1000         tone must be absent: at most -45 dBFS (or the level given)
  --peaks N          print the N strongest peaks found by scanning 100..3800 Hz (default 5)
  --skip S           ignore the first S seconds (default 0.5: call set-up, jitter buffer)
  --dur S            look at S seconds only
  --gaps MAX         fail if more than MAX seconds inside the window are silent
                     (20 ms blocks below -60 dBFS)
  --raw RATE         FILE is headerless mono S16LE at RATE
  --min-len S        fail if the recording is shorter than S seconds
  --channel N        channel of a multi-channel file (default 0)

Levels are of a sine: a full-scale sine is 0 dBFS.  Exit status 0 when all
conditions hold, 1 when one fails, 2 on a bad file.
"""
import argparse
import array
import math
import struct
import sys


def read_wav(path):
    """WAV reader that accepts files whose header was never patched (killed recorder)."""
    data = open(path, 'rb').read()
    if data[:4] != b'RIFF' or data[8:12] != b'WAVE':
        raise ValueError('not a RIFF/WAVE file')
    pos, fmt, pcm = 12, None, None
    while pos + 8 <= len(data):
        cid, size = data[pos:pos + 4], struct.unpack('<I', data[pos + 4:pos + 8])[0]
        body = data[pos + 8:pos + 8 + size]
        if cid == b'fmt ':
            fmt = struct.unpack('<HHIIHH', body[:16])
        elif cid == b'data':
            if size in (0, 0xffffffff):
                body = data[pos + 8:]
            pcm = body
            break
        pos += 8 + size + (size & 1)
    if fmt is None or pcm is None:
        raise ValueError('no fmt/data chunk')
    tag, channels, rate, _, _, bits = fmt
    if bits != 16 or tag not in (1, 0xfffe):
        raise ValueError(f'need 16-bit PCM, got format {tag} with {bits} bits')
    return rate, channels, pcm


def goertzel(samples, rate, freq):
    """Amplitude (0..1) of freq, Hann-windowed."""
    n = len(samples)
    if n < 64:
        return 0.0
    w = 2 * math.pi * freq / rate
    coeff = 2 * math.cos(w)
    s1 = s2 = 0.0
    step = 2 * math.pi / (n - 1)
    for i, x in enumerate(samples):
        s0 = x * (0.5 - 0.5 * math.cos(step * i)) + coeff * s1 - s2
        s2, s1 = s1, s0
    power = s1 * s1 + s2 * s2 - coeff * s1 * s2
    return 4 * math.sqrt(max(power, 0.0)) / n / 32768


def level(samples, rate, freq, block=0.25):
    """Median over blocks, so that a short glitch neither makes nor hides a tone."""
    size = int(rate * block)
    vals = []
    for start in range(0, max(1, len(samples) - size + 1), size):
        part = samples[start:start + size]
        # two bins either side: clocks differ a little and resamplers move tones
        vals.append(max(goertzel(part, rate, freq + d) for d in (-2, 0, 2)))
    vals.sort()
    return vals[len(vals) // 2] if vals else 0.0


def db(amp):
    return 20 * math.log10(amp) if amp > 1e-7 else -140.0


def spec(text, default):
    freq, _, lim = text.partition(':')
    return float(freq), float(lim) if lim else default


def main():
    ap = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1].split('\n')[0])
    ap.add_argument('file')
    ap.add_argument('--has', action='append', default=[])
    ap.add_argument('--not', action='append', default=[], dest='absent')
    ap.add_argument('--peaks', type=int, default=5)
    ap.add_argument('--skip', type=float, default=0.5)
    ap.add_argument('--dur', type=float)
    ap.add_argument('--gaps', type=float)
    ap.add_argument('--raw', type=int)
    ap.add_argument('--min-len', type=float, default=0)
    ap.add_argument('--channel', type=int, default=0)
    a = ap.parse_args()
    try:
        if a.raw:
            rate, channels, pcm = a.raw, 1, open(a.file, 'rb').read()
        else:
            rate, channels, pcm = read_wav(a.file)
    except (OSError, ValueError, struct.error) as e:
        print(f'{a.file}: {e}')
        return 2
    s = array.array('h')
    s.frombytes(pcm[:len(pcm) // (2 * channels) * 2 * channels])
    if sys.byteorder == 'big':
        s.byteswap()
    s = s[a.channel::channels]
    total = len(s) / rate
    s = s[int(a.skip * rate):]
    if a.dur:
        s = s[:int(a.dur * rate)]
    fail = []
    rms = math.sqrt(sum(x * x for x in s) / len(s)) / 32768 if s else 0
    print(f'{a.file}: {total:.2f} s at {rate} Hz x{channels}, rms {db(rms * math.sqrt(2)):.1f} dBFS')
    if total < a.min_len:
        fail.append(f'shorter than {a.min_len} s')
    blk = rate // 50
    silent = 0
    for i in range(0, len(s) - blk + 1, blk):
        part = s[i:i + blk]
        if max(max(part), -min(part)) < 33:
            silent += 1
    print(f'  silent 20 ms blocks: {silent * 0.02:.2f} s')
    if a.gaps is not None and silent * 0.02 > a.gaps:
        fail.append(f'{silent * 0.02:.2f} s silent > {a.gaps}')
    for text in a.has:
        f, lim = spec(text, -30)
        v = db(level(s, rate, f))
        print(f'  {f:g} Hz: {v:.1f} dBFS (want >= {lim:g})')
        if v < lim:
            fail.append(f'{f:g} Hz missing')
    for text in a.absent:
        f, lim = spec(text, -45)
        v = db(level(s, rate, f))
        print(f'  {f:g} Hz: {v:.1f} dBFS (want <= {lim:g})')
        if v > lim:
            fail.append(f'{f:g} Hz present')
    if a.peaks:
        part = s[:int(rate * 0.5)] if len(s) < rate else s[len(s) // 2:len(s) // 2 + rate // 2]
        scan = [(goertzel(part, rate, f), f) for f in range(100, min(3800, rate // 2), 20)]
        peaks = [(v, f) for i, (v, f) in enumerate(scan)
                 if v > 1e-3 and v >= scan[max(0, i - 1)][0] and v >= scan[min(len(scan) - 1, i + 1)][0]]
        peaks.sort(reverse=True)
        print('  peaks: ' + (', '.join(f'{f} Hz {db(v):.1f} dBFS' for v, f in peaks[:a.peaks]) or 'none'))
    print('FAIL: ' + '; '.join(fail) if fail else 'OK')
    return 1 if fail else 0


if __name__ == '__main__':
    sys.exit(main())
