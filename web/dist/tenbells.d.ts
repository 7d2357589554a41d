/** How changes travel. `poll` is the long poll. */
export type Transport = 'websocket' | 'sse' | 'poll';
/**
 * - `connecting`: the first connection, or one that is being made again
 * - `catching-up`: connected; what was missed is still arriving
 * - `live`: connected, and nothing is missing
 * - `ended`: as `live`, and every topic that is followed has said that it ended. It may be reopened
 * - `offline`: no connection, and attempts keep failing, or the browser says so. It goes on trying
 * - `paused`: by `pause()`
 * - `closed`: by `close()`, or because the broker refused for good: an `error` with `fatal` says why
 */
export type State = 'connecting' | 'catching-up' | 'live' | 'ended' | 'offline' | 'paused' | 'closed';
export interface Options {
    /** The broker: `https://host`, with a path where it has one. Default: the origin of the page. */
    url?: string | undefined;
    /** The topic to follow. */
    topic?: string | undefined;
    /** The topics to follow, at most 32. */
    topics?: readonly string[] | undefined;
    /**
     * From where: a position (of the first topic), `"start"` for everything there is, or positions by topic. Default: the
     * position kept in sessionStorage, or else the present: only what comes next.
     */
    after?: string | Readonly<Record<string, string>> | undefined;
    /**
     * A key for private topics. Only for pages that nobody else can read: whoever has the page has the key. Tabs with a key
     * share nothing.
     */
    token?: string | undefined;
    /** Gets a single-use ticket for private topics from the newsroom's own server; asked before each connection. */
    ticket?: ((topics: string[]) => Promise<string>) | undefined;
    /** One transport, or `"auto"` (default): WebSocket, else server-sent events, else long polls. */
    transport?: Transport | 'auto' | undefined;
    /** Whether the tabs of this origin share one connection. Default: true. */
    share?: boolean | undefined;
    /** Whether positions are kept in sessionStorage. Default: true. */
    storage?: boolean | undefined;
    /** After how many ms without a connection an `away` is told. Default: 30,000. */
    awayAfter?: number | undefined;
    /** How many changes an iterator holds that its reader has not taken yet. Default: 1,000. */
    buffer?: number | undefined;
}
/** One step of a topic, as docs/protocol.md, section 6, has it. */
export interface Change {
    topic: string;
    offset: number;
    at: string;
    kind: 'entry.published' | 'entry.revised' | 'entry.retracted' | 'entry.redacted' | 'topic.updated' | (string & {});
    /** The whole entry, for `entry.published` and `entry.revised`. */
    entry?: Entry;
    /** The entry's id, for `entry.retracted` and `entry.redacted`. */
    id?: string;
    /** Why it was retracted. */
    reason?: string;
    /** The whole topic, for `topic.updated`. */
    state?: Topic;
}
export interface Entry {
    id: string;
    revision: number;
    headline?: string;
    /** Sanitised by the broker. */
    body_html: string;
    authors: {
        name: string;
        type?: 'person' | 'organization';
        url?: string;
    }[];
    sources: {
        name: string;
        url?: string;
        role?: string;
    }[];
    related_links: {
        title: string;
        url: string;
    }[];
    tags: string[];
    key_event: boolean;
    pinned: boolean;
    verification?: 'confirmed' | 'unconfirmed' | 'disputed' | 'developing';
    correction?: {
        note: string;
    };
    published_at: string;
    released_at?: string;
    created_at: string;
    updated_at: string;
}
export interface TopicLink {
    topic?: string;
    url?: string;
    title: string;
}
export interface Topic {
    topic: string;
    revision: number;
    status: 'live' | 'ended';
    visibility: 'public' | 'private';
    title?: string;
    /** Sanitised by the broker. */
    summary_html?: string;
    summary?: string;
    language?: string;
    key_points?: string[];
    predecessor?: TopicLink;
    successor?: TopicLink;
    created_at: string;
    updated_at: string;
    ended_at?: string;
}
/** The numbering began anew: drop what is held of the topic, and take a fresh snapshot. Changes behind `position` follow. */
export interface Reset {
    topic: string;
    position: string;
    reason: string;
}
export interface StateChange {
    state: State;
    previous: State;
    /** How changes travel now; none without a connection. */
    transport: Transport | undefined;
}
export interface Presence {
    topic: string;
    readers: number;
}
export interface Trouble {
    /** A code of docs/protocol.md, section 14; a close code as text; or `ticket_failed`. */
    code: string;
    message: string;
    /** The topic, where it is about one. */
    topic?: string | undefined;
    /** Whether this is the end: of the topic, or without one, of the connection. */
    fatal: boolean;
}
/** What came while there was no connection, for longer than `awayAfter`. */
export interface Away {
    topic: string;
    /** Since when there was none: RFC 3339. */
    since: string;
    /** All changes. */
    changes: number;
    /** New entries, */
    entries: number;
    /** those among them that are key events, */
    key: number;
    /** entries that carry a correction by now, */
    corrections: number;
    /** and retractions. */
    retractions: number;
}
export interface Events {
    change: Change;
    reset: Reset;
    state: StateChange;
    presence: Presence;
    error: Trouble;
    away: Away;
}
/** A followed blog. */
export interface Live {
    readonly state: State;
    /** How changes travel now; none without a connection. */
    readonly transport: Transport | undefined;
    /** Position of the last change that was given, or where following began. */
    position(topic: string): string | undefined;
    /** Calls `listener` for each event of this type; the function that comes back stops that. */
    on<Type extends keyof Events>(type: Type, listener: (detail: Events[Type]) => void): () => void;
    /** Changes from now on, each once, in order. Throws a RangeError once more than `buffer` of them wait. */
    changes(): AsyncIterableIterator<Change>;
    /** Follows one more topic, or the same one anew from a position. */
    subscribe(topic: string, after?: string): void;
    unsubscribe(topic: string): void;
    /** Lets the connection go, and keeps the positions. */
    pause(): void;
    /** Connects again, and catches up. */
    resume(): void;
    /** Ends it for good. */
    close(): void;
}
/**
 * Follows one topic or several. Bad options are a TypeError; everything later is an event.
 *
 *     const live = connect({ url: 'https://live.example', topic: 'harbour' });
 *     live.on('change', (change) => show(change));
 */
export declare function connect(options: Options): Live;
