using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tributary.Contracts;

/// <summary>Writes an enum as its camel-case name: a reader of the JSON needs no table of numbers, and a new value moves no old one.</summary>
public sealed class CamelCaseName<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.CamelCase, allowIntegerValues: false)
    where T : struct, Enum;
