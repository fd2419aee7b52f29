// MCP server with the runbook's tools, over the running baileys-service.
//
//   node scripts/mcp-server.js                 stdio
//   node scripts/mcp-server.js --http PORT     streamable HTTP at http://127.0.0.1:PORT/mcp
//
// The service is found at --bot URL, else at HEALTH_PORT of .env.
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';
import { config } from '../src/config.js';

const ANSWER_WITHIN_MS = 3000;

const { values: options } = parseArgs({
  options: {
    http: { type: 'string' },
    bot: { type: 'string', default: `http://127.0.0.1:${config.healthPort}` },
  },
});

const content = (text) => ({ content: [{ type: 'text', text }] });

async function call(path, init) {
  const response = await fetch(`${options.bot}${path}`, init);
  const result = await response.json();
  if (!response.ok) throw new Error(result.error);
  return result;
}

function whatsappServer() {
  const server = new McpServer({ name: 'whatsapp', version: '1.0.0' });

  server.registerTool('send_message', {
    description: 'Send a WhatsApp message',
    inputSchema: { phone: z.string(), message: z.string() },
  }, async ({ phone, message }) => {
    const { id } = await call('/send', { method: 'POST', body: JSON.stringify({ phone, message }) });
    return content(`Message sent (${id})`);
  });

  server.registerTool('get_last_response', {
    description: 'The last message from a phone since the last one sent to it',
    inputSchema: { phone: z.string() },
  }, async ({ phone }) => {
    const deadline = Date.now() + ANSWER_WITHIN_MS;
    do {
      const { response } = await call(`/last-response?phone=${encodeURIComponent(phone)}`);
      if (response) return content(response);
      await pause(200);
    } while (Date.now() < deadline);
    return content('No response received'); // ordinary text, as the real one says it
  });

  return server;
}

/** Stateless: each request is served by a server of its own. */
function serveHttp(port) {
  createServer(async (request, response) => {
    if (request.url !== '/mcp') return response.writeHead(404).end();
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    response.on('close', () => transport.close());
    await whatsappServer().connect(transport);
    return transport.handleRequest(request, response);
  }).listen(port, '127.0.0.1');
}

if (options.http) serveHttp(Number(options.http));
else await whatsappServer().connect(new StdioServerTransport());
