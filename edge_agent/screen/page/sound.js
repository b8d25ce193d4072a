// Tones for each kind of answer, so that nobody needs to see the colour. One audio context, for ever. The kiosk's
// browser is started so that it may sound without having been touched (--autoplay-policy=no-user-gesture-required);
// another one is silent until somebody touches the page.
const AGAIN = [[523, 0, 0.1], [523, 0.17, 0.1], [523, 0.34, 0.1]];
const TUNES = { // of each tone: frequency in Hz, start in s, length in s
  granted: [[880, 0, 0.12], [1318, 0.13, 0.24]],
  denied: [[247, 0, 0.24], [196, 0.29, 0.38]],
  again: AGAIN,
  closed: AGAIN,
  stated: [[659, 0, 0.12], [784, 0.16, 0.2]],
  undone: [[659, 0, 0.1], [440, 0.12, 0.18]],
  door: [[784, 0, 0.25], [784, 0.4, 0.25]],
  fire: [[988, 0, 0.4], [740, 0.45, 0.4], [988, 0.9, 0.4]],
};
const LOUDNESS = 0.5;
let context = null;
let ringing = [];

export function play(mode) {
  const tune = TUNES[mode];
  if (!tune || !window.AudioContext) return;
  context ??= new AudioContext();
  if (context.state !== "running") context.resume().catch(() => {});
  for (const tone of ringing) tone.stop(); // the next person is not to hear the answer before
  ringing = tune.map(([frequency, at, length]) => ring(frequency, context.currentTime + at, length));
}

function ring(frequency, start, length) {
  const tone = context.createOscillator();
  const level = context.createGain();
  tone.type = "triangle"; // heard better by old ears than a sine of this pitch
  tone.frequency.value = frequency;
  level.gain.setValueAtTime(0.0001, start);
  level.gain.exponentialRampToValueAtTime(LOUDNESS, start + 0.02);
  level.gain.setValueAtTime(LOUDNESS, start + length - 0.04);
  level.gain.exponentialRampToValueAtTime(0.0001, start + length);
  tone.connect(level).connect(context.destination);
  tone.onended = () => level.disconnect();
  tone.start(start);
  tone.stop(start + length);
  return tone;
}
