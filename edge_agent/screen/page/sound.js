// Tones for each kind of answer, so that nobody needs to see the colour. One audio context, for ever.
"use strict";

const sound = (() => {
  // [frequency in Hz, start in s, length in s]
  const TUNES = {
    granted: [[880, 0, 0.12], [1318, 0.13, 0.22]],
    denied: [[247, 0, 0.22], [196, 0.27, 0.34]],
    again: [[523, 0, 0.1], [523, 0.18, 0.1]],
    undone: [[659, 0, 0.1], [440, 0.12, 0.16]],
    door: [[784, 0, 0.3], [784, 0.45, 0.3]],
    fire: [[988, 0, 0.4], [740, 0.45, 0.4]],
  };
  let context = null;

  function play(mode) {
    const tune = TUNES[mode];
    if (!tune || !window.AudioContext) return;
    context = context || new AudioContext();
    context.resume();
    for (const [frequency, at, length] of tune) {
      const tone = context.createOscillator();
      const level = context.createGain();
      const start = context.currentTime + at;
      tone.frequency.value = frequency;
      level.gain.setValueAtTime(0.0001, start);
      level.gain.exponentialRampToValueAtTime(0.5, start + 0.02);
      level.gain.exponentialRampToValueAtTime(0.0001, start + length);
      tone.connect(level).connect(context.destination);
      tone.onended = () => level.disconnect();
      tone.start(start);
      tone.stop(start + length);
    }
  }
  return { play };
})();
