using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Tributary.Streaming.Targets.Stdout;

/// <summary>
/// Writes changes as lines of JSON into memory. The shape is in docs/change.schema.json; it is the same for every table, so that a reader needs
/// no schema of its own. A column whose value is not known is named in <c>unchanged</c> and has no value: neither null nor a mark that could be one.
/// </summary>
internal sealed class ChangeLines : IDisposable
{
    // For a terminal and for grep: letters beyond ASCII stay as they are. The lines are JSON, not HTML.
    internal static readonly JavaScriptEncoder Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    readonly int _bytesKept;
    readonly Utf8JsonWriter _json;
    readonly Dictionary<uint, TableNames> _tables = [];
    ArrayBufferWriter<byte> _buffer;

    /// <param name="bytesKept">Memory that is kept between writes; what a longer line needed is given back.</param>
    public ChangeLines(int bytesKept)
    {
        _bytesKept = bytesKept * 2;
        _buffer = new ArrayBufferWriter<byte>(bytesKept);
        _json = new Utf8JsonWriter(_buffer, new JsonWriterOptions { Encoder = Encoder, SkipValidation = true });
    }

    public ReadOnlyMemory<byte> Written => _buffer.WrittenMemory;

    public void Clear()
    {
        if (_buffer.Capacity <= _bytesKept)
            _buffer.ResetWrittenCount();
        else
            _buffer = new ArrayBufferWriter<byte>(_bytesKept / 2);
    }

    public void Dispose() => _json.Dispose();

    /// <param name="sequence">The change's place in its transaction, from 1.</param>
    /// <exception cref="StreamException">Kind Limit: a value is longer than a string of JSON can be made.</exception>
    public void Add(Transaction transaction, in Change change, long sequence)
    {
        _json.Reset(_buffer);
        _json.WriteStartObject();
        _json.WriteString("kind"u8, KindOf(change.Kind));
        _json.WriteString("lsn"u8, transaction.CommitEndLsn.ToString());
        _json.WriteNumber("seq"u8, sequence);
        _json.WriteNumber("xid"u8, transaction.Xid);
        _json.WriteString("committedAt"u8, transaction.CommitTime.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture));
        switch (change.Kind)
        {
            case ChangeKind.Schema:
                _json.WriteString("tag"u8, change.Schema!.Tag);
                _json.WritePropertyName("change"u8);
                ColumnValue.WriteJson(_json, System.Text.Encoding.UTF8.GetBytes(change.Schema.Json));
                break;
            case ChangeKind.Truncate:
                AddTruncation(change.Truncation!);
                break;
            default:
                AddRow(in change);
                break;
        }

        _json.WriteEndObject();
        _json.Flush();
        _buffer.Write("\n"u8);
    }

    void AddTruncation(TableTruncation truncation)
    {
        _json.WriteStartArray("tables"u8);
        foreach (var table in truncation.Tables)
        {
            _json.WriteStartObject();
            _json.WriteString("schema"u8, table.Schema);
            _json.WriteString("table"u8, table.Name);
            _json.WriteEndObject();
        }

        _json.WriteEndArray();
        _json.WriteBoolean("cascade"u8, truncation.Cascade);
        _json.WriteBoolean("restartIdentity"u8, truncation.RestartIdentity);
    }

    void AddRow(in Change change)
    {
        var names = NamesOf(change.Table);
        _json.WriteString("schema"u8, names.Schema);
        _json.WriteString("table"u8, names.Table);
        if (change.Table.Identity == ReplicaIdentity.Key)
            AddImage("key"u8, names, change.Kind == ChangeKind.Delete ? change.Old : change.New, keyOnly: true);
        if (change.Kind != ChangeKind.Delete)
            AddImage("new"u8, names, change.New, keyOnly: false);
        if (change.OldKind != OldRowKind.None)
            AddImage("old"u8, names, change.Old, keyOnly: change.OldKind == OldRowKind.Key);
        AddUnchanged(names, change.New);
    }

    void AddImage(ReadOnlySpan<byte> property, TableNames names, RowImage row, bool keyOnly)
    {
        _json.WriteStartObject(property);
        var reader = row.Read();
        for (var i = 0; i < names.Columns.Length && reader.Next(); i++)
        {
            var column = names.Version.Columns[i];
            if (reader.Kind == ValueKind.Unchanged || (keyOnly && !column.IsKey))
                continue;
            _json.WritePropertyName(names.Columns[i]);
            ColumnValue.Write(_json, names.Version, column, reader.Kind, reader.Value.Span);
        }

        _json.WriteEndObject();
    }

    void AddUnchanged(TableNames names, RowImage row)
    {
        var reader = row.Read();
        var any = false;
        for (var i = 0; i < names.Columns.Length && reader.Next(); i++)
        {
            if (reader.Kind != ValueKind.Unchanged)
                continue;
            if (!any)
                _json.WriteStartArray("unchanged"u8);
            any = true;
            _json.WriteStringValue(names.Columns[i]);
        }

        if (any)
            _json.WriteEndArray();
    }

    TableNames NamesOf(TableSchema table)
    {
        // By the table, not by its version, so that there are never more than tables; a new version is a new object.
        if (!_tables.TryGetValue(table.RelationId, out var names) || names.Version != table)
            _tables[table.RelationId] = names = new TableNames(table);
        return names;
    }

    static ReadOnlySpan<byte> KindOf(ChangeKind kind) => kind switch
    {
        ChangeKind.Insert => "insert"u8,
        ChangeKind.Update => "update"u8,
        ChangeKind.Delete => "delete"u8,
        ChangeKind.Truncate => "truncate"u8,
        _ => "schema"u8,
    };

    /// <summary>The names of a version of a table, escaped once.</summary>
    sealed class TableNames(TableSchema schema)
    {
        public TableSchema Version { get; } = schema;

        public JsonEncodedText Schema { get; } = JsonEncodedText.Encode(schema.Schema, Encoder);

        public JsonEncodedText Table { get; } = JsonEncodedText.Encode(schema.Name, Encoder);

        public JsonEncodedText[] Columns { get; } = [.. schema.Columns.Select(column => JsonEncodedText.Encode(column.Name, Encoder))];
    }
}
