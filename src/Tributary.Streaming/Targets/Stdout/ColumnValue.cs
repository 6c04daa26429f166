using System.Buffers;
using System.Text.Json;

namespace Tributary.Streaming.Targets.Stdout;

/// <summary>
/// One column's value as JSON. What JSON can hold exactly becomes its own kind: integers, booleans, finite floating-point numbers, json and jsonb.
/// Everything else is a string with the text that Postgres prints, numeric included, whose digits most readers of JSON numbers would round.
/// </summary>
internal static class ColumnValue
{
    // System.Text.Json's own bound of a string that may have to be escaped: JsonConstants.MaxUnescapedTokenSize.
    const int ValueBytesMax = 166_666_666;

    // src/include/catalog/pg_type.dat
    const uint Bool = 16, Int8 = 20, Int2 = 21, Int4 = 23, Oid = 26, Json = 114, Float4 = 700, Float8 = 701, Jsonb = 3802;

    public static void Write(Utf8JsonWriter json, TableSchema table, ColumnSchema column, ValueKind kind, ReadOnlySpan<byte> value)
    {
        if (kind == ValueKind.Null)
        {
            json.WriteNullValue();
            return;
        }

        if (kind == ValueKind.Binary)
            throw new InvalidOperationException($"Column {column.Name} of table {table} came in its binary form; lines are made of text.");
        if (value.Length > ValueBytesMax)
        {
            throw new StreamException(
                StreamErrorKind.Limit,
                $"Column {column.Name} of table {table} holds a value of {value.Length} bytes; a line takes values of at most {ValueBytesMax}. " +
                "Leave the table out of the publication, or stream to a Postgres.");
        }

        switch (column.TypeId)
        {
            case Bool:
                json.WriteBooleanValue(value is [(byte)'t']);
                break;
            case Int2 or Int4 or Int8 or Oid:
            case Float4 or Float8 when char.IsAsciiDigit((char)value[^1]): // Infinity and NaN are no JSON and stay text.
                json.WriteRawValue(value, skipInputValidation: true);
                break;
            case Json or Jsonb:
                WriteJson(json, value);
                break;
            default:
                json.WriteStringValue(value);
                break;
        }
    }

    /// <summary>
    /// Valid JSON, byte for byte, on one line: a string in it holds no bare line break (RFC 8259, section 7), so each one is white space between tokens.
    /// </summary>
    public static void WriteJson(Utf8JsonWriter json, ReadOnlySpan<byte> text)
    {
        if (text.IndexOfAny((byte)'\n', (byte)'\r') < 0)
        {
            json.WriteRawValue(text, skipInputValidation: true);
            return;
        }

        var rented = ArrayPool<byte>.Shared.Rent(text.Length);
        var line = rented.AsSpan(0, text.Length);
        text.CopyTo(line);
        line.Replace((byte)'\n', (byte)' ');
        line.Replace((byte)'\r', (byte)' ');
        json.WriteRawValue(line, skipInputValidation: true);
        ArrayPool<byte>.Shared.Return(rented);
    }
}
