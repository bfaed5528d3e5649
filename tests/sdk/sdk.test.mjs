// The published Bynder SDK must not notice that it talks to the sandbox.
import assert from 'node:assert/strict';
import test from 'node:test';
import Bynder from '@bynder/bynder-js-sdk';

const { SANDBOX_URL, SANDBOX_TOKEN: permanentToken } = process.env;
const baseURL = `${SANDBOX_URL}/api/`;
const bynder = new Bynder({ baseURL, permanentToken });
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
// A PNG header and something that makes each file another one.
const file = (word) => Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.from(word)]);

test('lists, counts and gets assets', async () => {
  const listed = await bynder.getMediaList({ limit: 5, page: 1 });
  assert.equal(listed.length, 5);
  assert.equal(await bynder.getMediaTotal(), 12);
  const one = await bynder.getMediaInfo({ id: listed[0].id, versions: 1 });
  assert.equal(one.name, listed[0].name);
  assert.ok(one.mediaItems.some((item) => item.type === 'original' && item.active === 1));
  const all = await bynder.getAllMediaItems({ limit: 5 });
  assert.equal(all.length, 12);
});

test('reads what the portal has beside assets', async () => {
  const metaproperties = await bynder.getMetaproperties();
  assert.ok(metaproperties.some((property) => property.name === 'imatag_hash' && property.type === 'text'));
  assert.equal((await bynder.getBrands())[0].name, 'Acme');
  assert.equal((await bynder.getCollections())[0].name, 'Spring');
  assert.ok((await bynder.getTags()).some(({ tag }) => tag === 'landscape'));
});

test('downloads a file by its link', async () => {
  const [asset] = await bynder.getMediaList({ limit: 1, type: 'image' });
  const place = await bynder.api.send('GET', `v4/media/${asset.id}/download/`);
  const answer = await fetch(place.s3_file);
  assert.equal(answer.status, 200);
  assert.equal((await answer.arrayBuffer()).byteLength, asset.fileSize);
});

test('modifies an asset', async () => {
  const [asset] = await bynder.getMediaList({ limit: 1 });
  await bynder.editMedia({ id: asset.id, description: 'by the SDK' });
  await wait(400);
  assert.equal((await bynder.getMediaInfo({ id: asset.id })).description, 'by the SDK');
});

test('uploads a new asset, a new version and an additional file', async () => {
  const brandId = (await bynder.getBrands())[0].id;
  const upload = (word, data, more = {}) => {
    const body = file(word);
    return bynder.uploadFile({ filename: 'by sdk.png', body, length: body.length, data: { brandId, ...data }, ...more });
  };
  const saved = await upload('first', { name: 'By the SDK' });
  assert.equal(saved.success, true);
  const id = saved.mediaid;
  const version = await upload('second', { mediaId: id });
  assert.equal(version.mediaid, id);
  const one = await bynder.getMediaInfo({ id, versions: 1 });
  const originals = one.mediaItems.filter((item) => item.type === 'original');
  assert.deepEqual(originals.map((item) => [item.version, item.active]), [[1, 0], [2, 1]]);
  assert.equal(one.fileSize, file('second').length);
  const additional = await upload('third', { id }, { additional: true });
  assert.ok(additional.itemId);
});

test('deletes an asset', async () => {
  const [asset] = await bynder.getMediaList({ limit: 1 });
  await bynder.deleteMedia({ id: asset.id });
  await assert.rejects(bynder.getMediaInfo({ id: asset.id }), (error) => error.status === 404 || error.response?.status === 404);
});
