/** A worker for tests that cannot be started. */
throw new Error('no start')
