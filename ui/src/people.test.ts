import { describe, expect, it } from 'vitest';

import { inkedOn } from './people';

describe('letters on a colour', () => {
  it('go with the text of the theme where the colour is the theme’s', () => {
    const theirs = 'var(--jp-collaborator-color3)';
    expect(inkedOn(theirs)).toEqual({ backgroundColor: theirs });
  });

  it.each([
    ['#000', '#fff'],
    ['#223344', '#fff'],
    ['#FFE', '#000'],
    ['#ffad8e', '#000'],
    ['#8b45c6', '#fff']
  ])('on %s are %s', (background, ink) => {
    expect(inkedOn(background)).toEqual({ backgroundColor: background, color: ink });
  });
});
