using System.Buffers.Binary;
using System.Numerics;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// The key columns of a row image, to be compared with those of another image of the same table. Equal keys have equal bytes: a stored value is
/// always printed alike. Points into the image's memory.
/// </summary>
internal readonly struct RowKey : IEquatable<RowKey>
{
    // Keys come from users, and a table of hashes must not be made slow by chosen ones.
    static readonly ulong Seed = (ulong)Random.Shared.NextInt64() | 1;

    readonly RowImage _image;
    readonly TargetTable _table;

    RowKey(TargetTable table, RowImage image, ulong hash, ulong formats, bool isWhole) =>
        (_table, _image, Hash, Formats, IsWhole) = (table, image, hash, formats, isWhole);

    /// <summary>Rows with different hashes have different keys, whichever batch they are in.</summary>
    public ulong Hash { get; }

    /// <summary>Which columns are binary. Keys of different formats cannot be compared: one row would look like two.</summary>
    public ulong Formats { get; }

    /// <summary>Whether every column has a value.</summary>
    public bool IsWhole { get; }

    public static RowKey Of(TargetTable table, RowImage image)
    {
        var hash = Seed ^ table.Schema.RelationId;
        var formats = 0UL;
        var whole = true;
        var keys = table.KeyColumns;
        var next = 0;
        var reader = image.Read();
        for (var i = 0; next < keys.Length && reader.Next(); i++)
        {
            if (i != keys[next])
                continue;
            next++;
            formats = (formats << 1) | (reader.Kind == ValueKind.Binary ? 1UL : 0); // A key has 32 columns at most (INDEX_MAX_KEYS).
            whole &= reader.Kind is ValueKind.Text or ValueKind.Binary;
            hash = Mix(hash, reader.Value.Span);
        }

        return new RowKey(table, image, hash, formats, whole);
    }

    public bool Equals(RowKey other)
    {
        if (Hash != other.Hash || !ReferenceEquals(_table, other._table))
            return false;
        var keys = _table.KeyColumns;
        var next = 0;
        var (mine, others) = (_image.Read(), other._image.Read());
        for (var i = 0; next < keys.Length && mine.Next() && others.Next(); i++)
        {
            if (i != keys[next])
                continue;
            next++;
            if (mine.Kind != others.Kind || !mine.Value.Span.SequenceEqual(others.Value.Span))
                return false;
        }

        return true;
    }

    public override bool Equals(object? obj) => obj is RowKey other && Equals(other);

    public override int GetHashCode() => (int)(Hash >> 32);

    static ulong Mix(ulong hash, ReadOnlySpan<byte> value)
    {
        const ulong Odd = 0x9E3779B97F4A7C15; // The golden ratio, whose multiples are spread evenly.
        hash = (hash ^ (ulong)value.Length) * Odd;
        while (value.Length >= sizeof(ulong))
        {
            hash = BitOperations.RotateLeft(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(value), 29) * Odd;
            value = value[sizeof(ulong)..];
        }

        var rest = 0UL;
        foreach (var b in value)
            rest = (rest << 8) | b;
        hash = BitOperations.RotateLeft(hash ^ rest, 29) * Odd;
        return hash ^ (hash >> 32);
    }
}
