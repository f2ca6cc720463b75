import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { collectLicenses } from './licenses.js';

const licenses = collectLicenses();

export default defineConfig({
  // Relative, so that the page works below any path prefix.
  base: './',
  plugins: [react(), licenses.page()],
  worker: {
    format: 'es',
    // Workers are bundles of their own: what only they contain counts too.
    plugins: () => [licenses.worker()],
  },
  build: {
    target: 'es2022',
    sourcemap: false,
    // An inlined asset would have to pass the content security policy as `data:`.
    assetsInlineLimit: 0,
    // Monaco is one large chunk on purpose.
    chunkSizeWarningLimit: 5000,
    rolldownOptions: {
      onLog(level, log, handle) {
        // "use no memo" in GraphiQL's packages is for a compiler that has already run on them.
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') handle(level, log);
      },
    },
  },
});
