/** A clock of Unix seconds that goes on by half a second with each look, so that order can show. */
export function makeClock(): () => number {
  let time = Math.floor(Date.now() / 1000) - 1000;
  return () => {
    time += 0.5;
    return Math.floor(time);
  };
}
