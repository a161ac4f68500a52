"""Synthesized sounds other than speech: noises, music, machines, weather, animals.

Each maker takes a generator and a number of samples and returns a waveform [shape=(n,), float32]
at 16 kHz with a peak of one half. None of them needs anything but numpy and scipy.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import signal

from hearaudiomlp.spec import SAMPLE_RATE

Samples = npt.NDArray[np.float32]
Maker = Callable[[np.random.Generator, int], npt.NDArray[np.float64]]
_Wave = npt.NDArray[np.float64]


def _time(n: int) -> _Wave:
    return np.arange(n) / SAMPLE_RATE


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _slow(rng: np.random.Generator, n: int, hertz: float) -> _Wave:
    """Return a slow random curve in 0 to 1 that changes ``hertz`` times a second."""
    knots = rng.random(int(n / SAMPLE_RATE * hertz) + 3)
    return np.interp(np.linspace(0, len(knots) - 1, n), np.arange(len(knots)), knots)


def coloured_noise(rng: np.random.Generator, n: int) -> _Wave:
    """Noise whose power falls with frequency to a random exponent (white, pink, brown ...)."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), 20.0)
    return np.fft.irfft(spectrum * frequency ** (-rng.uniform(0, 2.2) / 2), n)


def band_noise(rng: np.random.Generator, n: int) -> _Wave:
    """Noise in a band of random place and width."""
    centre = _log_uniform(rng, 100, 6500)
    width = centre * rng.uniform(0.1, 1.0)
    band = [max(30.0, centre - width / 2), min(7900.0, centre + width / 2)]
    filtered = signal.sosfilt(
        signal.butter(2, band, "bandpass", fs=SAMPLE_RATE, output="sos"), rng.standard_normal(n)
    )
    return np.asarray(filtered) * (0.3 + _slow(rng, n, rng.uniform(0.5, 8)))


def hum(rng: np.random.Generator, n: int) -> _Wave:
    """Mains hum with its harmonics, over a little noise."""
    base = float(rng.choice([50.0, 60.0]))
    time = _time(n)
    wave = 0.02 * rng.standard_normal(n)
    for harmonic in range(1, int(rng.integers(3, 20))):
        level = rng.random() / harmonic
        wave += level * np.sin(2 * np.pi * (base * harmonic * time + rng.random()))
    return wave


def tone(rng: np.random.Generator, n: int) -> _Wave:
    """A sine, steady, beating or gliding."""
    start = _log_uniform(rng, 60, 5000)
    end = start * float(np.exp(rng.normal(0, 0.3))) if rng.random() < 0.5 else start
    phase = 2 * np.pi * np.cumsum(np.geomspace(start, end, n)) / SAMPLE_RATE
    beating = 1 + rng.random() * np.sin(2 * np.pi * rng.uniform(0.5, 12) * _time(n))
    return np.sin(phase) * beating


def _note(rng: np.random.Generator, pitch: float, n: int, timbre: _Wave, decay: float) -> _Wave:
    time = _time(n)
    attack = np.minimum(1.0, time / rng.uniform(0.003, 0.06))
    wave = np.zeros(n)
    for harmonic, level in enumerate(timbre, 1):
        if pitch * harmonic < 7800:
            fade = np.exp(-time * decay * harmonic**0.7)
            wave += level * fade * np.sin(2 * np.pi * (pitch * harmonic * time + rng.random()))
    return wave * attack


def chords(rng: np.random.Generator, n: int) -> _Wave:
    """Chords of one additive timbre, one after the other."""
    timbre = rng.random(10) / np.arange(1, 11) ** rng.uniform(0.5, 2)
    decay = _log_uniform(rng, 0.2, 6)
    wave = np.zeros(n)
    step = int(SAMPLE_RATE * rng.uniform(0.25, 1.2))
    for start in range(0, n, step):
        root = _log_uniform(rng, 70, 600)
        for interval in rng.choice([0, 3, 4, 5, 7, 8, 9, 10, 12], size=3, replace=False):
            note = _note(rng, root * 2 ** (interval / 12), n - start, timbre, decay)
            wave[start:] += note
    return wave


def melody(rng: np.random.Generator, n: int) -> _Wave:
    """Single notes of a pentatonic scale, with vibrato now and then."""
    timbre = rng.random(12) / np.arange(1, 13) ** rng.uniform(0.3, 2)
    decay = _log_uniform(rng, 0.5, 8)
    root = _log_uniform(rng, 100, 500)
    wave = np.zeros(n)
    start = 0
    while start < n:
        length = int(SAMPLE_RATE * rng.choice([0.12, 0.2, 0.3, 0.5]))
        pitch = root * 2 ** (float(rng.choice([0, 2, 4, 7, 9, 12, 14])) / 12)
        note = _note(rng, pitch, min(2 * length, n - start), timbre, decay)
        wave[start : start + len(note)] += note
        start += length
    return wave


def plucked(rng: np.random.Generator, n: int) -> _Wave:
    """Plucked strings (Karplus and Strong 1983): noise in a loop with an averaging filter."""
    wave = np.zeros(n)
    step = int(SAMPLE_RATE * rng.uniform(0.15, 0.8))
    for start in range(0, n, step):
        period = int(SAMPLE_RATE / _log_uniform(rng, 70, 900))
        loss = 0.5 * rng.uniform(0.985, 0.9995)
        denominator = np.zeros(period + 2)
        denominator[0], denominator[period], denominator[period + 1] = 1, -loss, -loss
        burst = np.zeros(n - start)
        burst[:period] = rng.uniform(-1, 1, size=min(period, n - start))
        wave[start:] += signal.lfilter([1.0], denominator, burst)
    return wave


def bells(rng: np.random.Generator, n: int) -> _Wave:
    """Bells and bars: inharmonic partials that die away one by one."""
    ratios = np.array([0.5, 1, 1.19, 1.5, 2, 2.74, 3, 3.76, 4.07, 5.4])
    ratios = ratios * np.exp(rng.normal(0, 0.05, len(ratios)))
    wave = np.zeros(n)
    step = int(SAMPLE_RATE * rng.uniform(0.3, 1.5))
    for start in range(0, n, step):
        time = _time(n - start)
        pitch = _log_uniform(rng, 200, 1800)
        for ratio in ratios[pitch * ratios < 7800]:
            fade = np.exp(-time * rng.uniform(1, 6) * ratio)
            wave[start:] += rng.random() * fade * np.sin(2 * np.pi * pitch * ratio * time)
    return wave


def drums(rng: np.random.Generator, n: int) -> _Wave:
    """A beat of kicks, snares and cymbals."""
    wave = np.zeros(n)
    step = int(SAMPLE_RATE * rng.uniform(0.09, 0.3))
    for start in range(0, n, step):
        if rng.random() < 0.25:
            continue
        time = _time(min(n - start, SAMPLE_RATE // 2))
        kind = rng.integers(3)
        if kind == 0:
            sweep = 45 + 150 * np.exp(-time * 30)
            hit = np.sin(2 * np.pi * np.cumsum(sweep) / SAMPLE_RATE) * np.exp(-time * 9)
        elif kind == 1:
            body = np.sin(2 * np.pi * rng.uniform(150, 260) * time)
            hit = (0.5 * body + rng.standard_normal(len(time))) * np.exp(-time * 16)
        else:
            hiss = np.diff(rng.standard_normal(len(time) + 1))
            hit = 0.5 * hiss * np.exp(-time * rng.uniform(10, 60))
        wave[start : start + len(time)] += rng.uniform(0.4, 1) * hit
    return wave


def engine(rng: np.random.Generator, n: int) -> _Wave:
    """An engine: pulses at a wandering rate through resonances."""
    rate = _log_uniform(rng, 15, 130) * (0.7 + 0.6 * _slow(rng, n, rng.uniform(0.2, 2)))
    phase = np.cumsum(rate) / SAMPLE_RATE
    pulses = np.diff(np.floor(phase), prepend=0.0) + 0.02 * rng.standard_normal(n)
    wave = np.zeros(n)
    for _ in range(3):
        peak, quality = _log_uniform(rng, 60, 2500), rng.uniform(1, 8)
        wave += signal.lfilter(*signal.iirpeak(peak, quality, SAMPLE_RATE), pulses)
    return wave


def wind(rng: np.random.Generator, n: int) -> _Wave:
    """Wind: dark noise in gusts, sometimes whistling."""
    noise = np.cumsum(rng.standard_normal(n))
    dark = signal.sosfilt(
        signal.butter(2, [30, _log_uniform(rng, 200, 2500)], "bandpass", fs=16000, output="sos"),
        noise,
    )
    return np.asarray(dark) * _slow(rng, n, rng.uniform(0.5, 4)) ** 2


def rain(rng: np.random.Generator, n: int) -> _Wave:
    """Rain: many small drops, each a short ringing, over hiss."""
    drops = (rng.random(n) < _log_uniform(rng, 2e-4, 2e-2)) * rng.standard_normal(n)
    ringing = signal.lfilter(
        *signal.iirpeak(_log_uniform(rng, 900, 6000), rng.uniform(1, 10), SAMPLE_RATE), drops
    )
    return np.asarray(ringing) + rng.uniform(0, 0.03) * rng.standard_normal(n)


def birds(rng: np.random.Generator, n: int) -> _Wave:
    """Chirps: fast glides of a whistle, in phrases."""
    wave = 0.003 * rng.standard_normal(n)
    start = 0
    while start < n:
        length = int(SAMPLE_RATE * rng.uniform(0.03, 0.25))
        low = _log_uniform(rng, 1500, 4500)
        bend = low * (
            1 + rng.uniform(0, 0.7) * np.sin(np.linspace(0, np.pi * rng.integers(1, 7), length))
        )
        chirp = np.sin(2 * np.pi * np.cumsum(bend) / SAMPLE_RATE) * np.hanning(length)
        kept = min(length, n - start)
        wave[start : start + kept] += chirp[:kept]
        start += length + int(SAMPLE_RATE * rng.exponential(0.12))
    return wave


def siren(rng: np.random.Generator, n: int) -> _Wave:
    """A siren or an alarm: a rich tone that swings or steps between two pitches."""
    swing = np.sin(2 * np.pi * rng.uniform(0.3, 6) * _time(n))
    if rng.random() < 0.5:
        swing = np.sign(swing)
    pitch = _log_uniform(rng, 400, 1800) * (1 + rng.uniform(0.05, 0.4) * swing)
    wave = np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE)
    return np.asarray(np.tanh(wave * rng.uniform(1, 6)))


def clicks(rng: np.random.Generator, n: int) -> _Wave:
    """Keys, knocks and crackle: sparse resonant impulses."""
    hits = (rng.random(n) < _log_uniform(rng, 1e-4, 2e-3)) * rng.uniform(0.2, 1, n)
    wave = np.zeros(n)
    for _ in range(3):
        wave += signal.lfilter(
            *signal.iirpeak(_log_uniform(rng, 150, 6000), rng.uniform(1, 12), SAMPLE_RATE), hits
        )
    return wave + 1e-3 * rng.standard_normal(n)


def growl(rng: np.random.Generator, n: int) -> _Wave:
    """Barks, growls and calls: a glottal buzz with moving resonances, in bursts."""
    pitch = _log_uniform(rng, 70, 700) * (0.8 + 0.5 * _slow(rng, n, rng.uniform(1, 8)))
    buzz = signal.sawtooth(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE)
    buzz += rng.uniform(0, 0.6) * rng.standard_normal(n)
    wave = np.zeros(n)
    for _ in range(3):
        centre = _log_uniform(rng, 300, 3500)
        wave += signal.lfilter(*signal.iirpeak(centre, rng.uniform(2, 8), SAMPLE_RATE), buzz)
    gate = np.clip(3 * (_slow(rng, n, rng.uniform(1, 6)) - rng.uniform(0.1, 0.6)), 0, 1)
    return wave * gate


SOUNDS: dict[str, Maker] = {
    "coloured noise": coloured_noise,
    "band noise": band_noise,
    "hum": hum,
    "tone": tone,
    "chords": chords,
    "melody": melody,
    "plucked": plucked,
    "bells": bells,
    "drums": drums,
    "engine": engine,
    "wind": wind,
    "rain": rain,
    "birds": birds,
    "siren": siren,
    "clicks": clicks,
    "growl": growl,
}
"""The makers by name."""


def make_sound(name: str, rng: np.random.Generator, n: int) -> Samples:
    """Return ``n`` samples of the sound called ``name`` (a key of ``SOUNDS``), peak one half."""
    wave = SOUNDS[name](rng, n)
    wave = wave - wave.mean()
    return np.asarray(0.5 * wave / max(float(np.abs(wave).max()), 1e-9), np.float32)


def room_response(rng: np.random.Generator, n: int) -> Samples:
    """Return the impulse response of a room [shape=(n,)].

    A direct sound, a few early reflections, and a diffuse tail of decaying noise whose high
    frequencies die first (Polack's model); the direct sound comes first and has the height 1.
    """
    time = _time(n)
    rt60 = _log_uniform(rng, 0.08, 0.9)
    tail = rng.standard_normal(n) * np.exp(-6.9 * time / rt60)
    tail = np.asarray(signal.lfilter([1 - (dark := rng.uniform(0.1, 0.8))], [1, -dark], tail))
    tail[: int(0.004 * SAMPLE_RATE)] = 0
    tail /= np.sqrt(np.square(tail).sum()) + 1e-9
    direct_to_reverberant = 10 ** (rng.uniform(-3, 18) / 20)
    response = tail / direct_to_reverberant
    for _ in range(int(rng.integers(0, 6))):
        response[int(SAMPLE_RATE * rng.uniform(0.001, 0.03))] += rng.uniform(-0.4, 0.4)
    response[0] = 1.0
    return response.astype(np.float32)
